import { orList } from '../../definitions/words.ts';
import type { Assessment, DeviceAssessment, Reason } from '../../host/passthrough/assessment.ts';
import { sentenceList } from '../../host/text.ts';
import { bytes } from '../../text/units.ts';
import { paragraph } from './paragraph.ts';

const LEVELS = { block: 'BLOCK', warn: 'warn', ok: 'ok' } as const;
const ORDER = ['block', 'warn', 'ok'] as const;
const LEVEL_CELLS = 7;
const INDENT = ' '.repeat(2 + LEVEL_CELLS);

/** An assessment for people: each device with its reasons, the host, what the VM loses, and the verdict. */
export function assessmentLines(assessment: Assessment, cells: number): string[] {
  const { devices, reasons, losses, memory, plan, unsafe } = assessment;
  const why = Map.groupBy(losses, loss => loss.why);
  return [
    ...devices.flatMap(device => [...deviceLines(device, cells), '']),
    'host and VM',
    ...reasonLines(reasons, null, cells),
    '',
    ...(memory.bytes === null ? [] : [`memory that will be pinned: ${bytes(memory.bytes)}`]),
    ...[...why].flatMap(([text, lost]) =>
      paragraph(
        `while it has the device, the VM has no ${orList(lost.map(({ what }) => what))}, because ${text}`,
        cells,
        '  ',
      ),
    ),
    '',
    ...(unsafe ? ['UNSAFE: without an IOMMU, the guest can read and write all host memory', ''] : []),
    ...paragraph(verdict(assessment), cells, '  '),
    ...(assessment.possible && plan.steps.length > 0
      ? paragraph(
          `to bind it now: ${bindCommand(assessment)}; a VM that has it binds it when it starts`,
          cells,
          '  ',
        )
      : []),
  ];
}

function deviceLines(device: DeviceAssessment, cells: number): string[] {
  const { address, name, driver, iommuGroup, numaNode, members, hostLoses, reasons } = device;
  const facts = [
    driver === null ? 'no driver' : `driver ${driver}`,
    iommuGroup === null ? 'no IOMMU group' : `IOMMU group ${iommuGroup}`,
    ...(numaNode === null ? [] : [`NUMA node ${numaNode}`]),
  ];
  const along = members.filter(({ role }) => role === 'group');
  return [
    ...paragraph(`${address}  ${name ?? 'no such function'}`, cells, '  '),
    ...(name === null ? [] : paragraph(facts.join(', '), cells, '  ', '  ')),
    ...(hostLoses === null ? [] : paragraph(`the host loses: ${hostLoses}`, cells, '    ', '  ')),
    ...along.flatMap(member =>
      paragraph(
        `comes along: ${member.address} ${member.name}${member.driver === null ? '' : ` (${member.driver})`}`,
        cells,
        '    ',
        '  ',
      ),
    ),
    ...reasonLines(reasons, address, cells),
  ];
}

/** Blocks first. @param about the subject that need not be named */
function reasonLines(reasons: readonly Reason[], about: string | null, cells: number): string[] {
  return ORDER.flatMap(level => reasons.filter(each => each.level === level)).flatMap(
    ({ level, subject, reason, repair }) => {
      const lead = `  ${LEVELS[level].padEnd(LEVEL_CELLS)}`;
      const other = subject === about || subject === null ? '' : `${subject}: `;
      return [
        ...paragraph(`${other}${reason}`, cells, INDENT, lead),
        ...repair.flatMap(line => paragraph(line, cells, `${INDENT}  `, `${INDENT}> `)),
      ];
    },
  );
}

function verdict({ possible, devices, reasons }: Assessment): string {
  const names = sentenceList(devices.map(({ address }) => address));
  if (possible) return `Verdict: ${names} can be passed to a VM`;
  const blocks = [...reasons, ...devices.flatMap(device => device.reasons)].filter(
    ({ level }) => level === 'block',
  ).length;
  return `Verdict: ${names} cannot be passed to a VM: ${blocks === 1 ? '1 reason blocks' : `${blocks} reasons block`} it`;
}

function bindCommand({ devices }: Assessment): string {
  const along = devices.some(({ members }) => members.some(({ role }) => role === 'group'));
  return `vring vfio bind ${devices.map(({ address }) => address).join(' ')}${along ? ' --group' : ''}`;
}
