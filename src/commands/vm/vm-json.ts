import type { VmInfo } from '../../engine/vm-info.ts';

/** One VM in a JSON document. The keys are stable. */
export type VmFacts = Omit<VmInfo, 'id' | 'topology'>;

export function vmFacts({ id: _, topology: __, ...facts }: VmInfo): VmFacts {
  return facts;
}

/** The keys of `VmFacts` for docs/cli.md. */
export const VM_FACTS =
  '`name`, `state` (`starting`, `running`, `paused`, `stopping`, `off`, `crashed`), `vcpus`, `memoryBytes`, `startedAt` (milliseconds ' +
  'since 1970), `reason` (why it is off or crashed), `detail` (registers after a crash), `exitCode` (of the guest), `broken` (by ' +
  'device, why it stopped serving its driver), `defined`, `problem` (why its definition is not valid), `blockers` (what keeps a valid one ' +
  'from being started: features that this version lacks, files that do not exist), `autostart`, `keyboardHolder` (who ' +
  'has the keyboard of its console)';

/** The keys of `VmTotals`. */
export const VM_TOTALS =
  '`cpu` (1 is one CPU in full use), `exits`, `diskReadBytes`, `diskWriteBytes`, `requests`, `kicks`, `interrupts`';
