import { type LeftOut, MAX_DOMAIN_BYTES } from '../../definitions/libvirt/document.ts';
import { readDomain } from '../../definitions/libvirt/read.ts';
import { printError } from '../../text/output.ts';
import { readLimited } from '../../text/read-limited.ts';
import { reportMissingFeatures } from '../qemu-machine.ts';
import { type DefineOptions, defineVm } from './define.ts';
import type { VmList } from './vm-list.ts';

export type ImportOptions = DefineOptions & { readonly name?: string };

/** Defines a VM from a libvirt domain, and reports what was left out. */
export async function importVm(vmList: VmList, file: string, options: ImportOptions): Promise<void> {
  const { definition, leftOut } = readDomain(
    readLimited(file === '-' ? 0 : file, file === '-' ? 'stdin' : file, MAX_DOMAIN_BYTES),
    file,
    options.name,
  );
  await defineVm(vmList, definition, options, { leftOut });
  if (options.json) return;
  reportMissingFeatures(definition);
  if (leftOut.length === 0) return;
  printError(`vring: left out of ${file}:`);
  for (const line of leftOutLines(leftOut)) printError(`  ${line}`);
}

/** Elements that are left out for the same reason are one line. */
function leftOutLines(leftOut: readonly LeftOut[]): string[] {
  const lines = new Map<string, number[]>();
  for (const { path, line, reason } of leftOut) {
    const what = `${path}${reason === null ? '' : `: ${reason}`}`;
    lines.set(what, [...(lines.get(what) ?? []), line]);
  }
  return [...lines].map(([what, at]) => `line ${[...new Set(at)].join(', ')}: ${what}`);
}
