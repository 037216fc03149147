import type { VmInfo } from '../engine/vm-info.ts';
import { printableLines } from '../text/printable.ts';
import { printableDeep } from '../text/printable-deep.ts';

/** The same VM without control characters in any of its texts: everything in the store is safe to draw. */
export function printableVm(vm: VmInfo): VmInfo {
  const { detail, ...rest } = vm;
  return { ...printableDeep(rest), detail: detail === null ? null : printableLines(detail).join('\n') };
}
