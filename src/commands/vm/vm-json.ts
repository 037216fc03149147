import type { VmInfo } from '../../engine/vm-info.ts';

/** One VM in a JSON document. The keys are stable. */
export type VmFacts = Omit<VmInfo, 'id' | 'topology' | 'definedDevices'>;

export function vmFacts({ id: _, topology: __, definedDevices: ___, ...facts }: VmInfo): VmFacts {
  return facts;
}

/** The keys of `VmFacts` for docs/cli.md. */
export const VM_FACTS =
  '`name`, `state` (`starting`, `running`, `paused`, `suspended`, `stopping`, `stuck`, `off`, `crashed`), ' +
  '`vcpus`, `maxVcpus` (if it has room for more), `memoryBytes`, `startedAt` (milliseconds since 1970), `reason` (why it is stuck, off or crashed), ' +
  '`detail` (registers after a crash), `exitCode` (of the guest), `broken` (by device, why it stopped serving ' +
  'its driver), `diskErrors` (by device, its last error on the host’s disk; absent without errors in the last ' +
  'minute or two), `defined`, `problem` (why its definition is not valid), `blockers` (why a valid one cannot ' +
  'start: features that this version lacks, missing files), `autostart`, `pid` (of its process), `confinement` ' +
  '(null without a process; else the layers around it: `name`, `state` (`on`, `off`, `unavailable`) and ' +
  '`reason`), `saved` (if its next start continues from a saved state: `at`, `automatic`), `snapshots` (names, ' +
  'if it has any), `task` (an operation in progress, if any: `kind`, `name`, `phase`, `done`, `total`, ' +
  '`waitingFor`, `migration`), `hostDevices` (PCI functions of the host that it has, or takes at its next start: `address`, ' +
  '`device`, `api`, `keep`, `before`, `noIommu`; absent without any), `nics` (its network cards: `device`, ' +
  '`type`, `mac`, `network` (`type`, `name`), `addresses` known to the host from DHCP or ARP; absent without ' +
  'any), `guest` (what the guest agent reports, once it has answered: as `vring vm agent info`), `servedVnc` ' +
  '(the VNC server of its screen, once that listens: `address`, `confinement`), `keyboardHolder` (the client ' +
  'that holds the keyboard of its console)';

/** The keys of `VmTotals`. */
export const VM_TOTALS =
  '`cpu` (1 is one fully used CPU), `exits`, `diskReadBytes`, `diskWriteBytes`, `requests`, `kicks`, `interrupts`';
