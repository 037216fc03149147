import type { Diagnosis } from '../../host/doctor/doctor.ts';
import type { Finding } from '../../host/doctor/finding.ts';
import { paragraph } from './paragraph.ts';

const marks: Readonly<Record<Finding['state'], string>> = {
  ok: 'ok  ',
  info: '    ',
  warn: 'warn',
  fail: 'FAIL',
};

/** Aligns with the titles. */
const indent = '       ';

/** Findings by area, with the reason and the fix for warnings and failures. */
export function doctorLines({ distribution, findings }: Diagnosis, cells: number): string[] {
  const lines = [`host: ${distribution.name}`];
  for (const [area, inArea] of Map.groupBy(findings, finding => finding.area)) {
    lines.push('', area);
    for (const finding of inArea) lines.push(...findingLines(finding, cells));
  }
  const count = (state: Finding['state']): number =>
    findings.filter(finding => finding.state === state).length;
  lines.push('', `${count('fail')} failed, ${count('warn')} with warnings`);
  return lines;
}

function findingLines({ state, title, why, repair }: Finding, cells: number): string[] {
  const lines = paragraph(title, cells, indent, `  ${marks[state]} `);
  if (state === 'ok' || state === 'info') return lines;
  return [
    ...lines,
    ...paragraph(`(${why})`, cells, indent, indent),
    ...repair.flatMap(line => paragraph(line, cells, `${indent}  `, `${indent}> `)),
  ];
}
