import type { VmInfo } from '../../engine/vm-info.ts';

/** One VM in a JSON document. The keys are stable. */
export type VmFacts = Omit<VmInfo, 'id' | 'topology'>;

export function vmFacts({ id: _, topology: __, ...facts }: VmInfo): VmFacts {
  return facts;
}

/** The keys of `VmFacts` for docs/cli.md. */
export const VM_FACTS =
  '`name`, `state` (`starting`, `running`, `paused`, `suspended`, `stopping`, `stuck`, `off`, `crashed`), `vcpus`, `memoryBytes`, `startedAt` (milliseconds ' +
  'since 1970), `reason` (why it is stuck, off or crashed), `detail` (registers after a crash), `exitCode` (of the guest), `broken` (by ' +
  'device, why it stopped serving its driver), `diskErrors` (by device, what the host’s disk failed last; absent without errors in the ' +
  'last minute or two), `defined`, `problem` (why its definition is not valid), `blockers` (why a valid one cannot ' +
  'start: features that this version lacks, missing files), `autostart`, `pid` (of its process), `confinement` (null without a process; else the layers ' +
  'around it: `name`, `state` (`on`, `off`, `unavailable`) and `reason`), `saved` (if it goes on from a saved state at its next start: `at`, `automatic`), ' +
  '`snapshots` (names, if it has any), `task` (what is being done with it, if anything: `kind`, `name`, `phase`, `done`, `total`, `waitingFor`), `hostDevices` (PCI functions of the host that it has, or ' +
  'takes at its next start: `address`, `device`, `api`, `keep`, `before`, `noIommu`; absent: none), `nics` (its network cards: `device`, `type`, `mac`, `network` (`type`, `name`), `addresses` that the host has learned of it by DHCP or ARP; absent: none), `guest` (what its agent says of the guest, if that has answered: as `vring vm agent info`), `servedVnc` (the VNC server of its screen, once that listens: `address`, `confinement`), `keyboardHolder` (the client that ' +
  'holds the keyboard of its console)';

/** The keys of `VmTotals`. */
export const VM_TOTALS =
  '`cpu` (1 is one fully used CPU), `exits`, `diskReadBytes`, `diskWriteBytes`, `requests`, `kicks`, `interrupts`';
