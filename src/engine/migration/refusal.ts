import { isFolder } from '../../devices/backends/disk.ts';
import { deviceTable } from '../../devices/registry.ts';
import type { MachineConfig } from '../../vmm/machine/config.ts';
import type { DiskLabel } from '../../vmm/machine/messages.ts';
import { wantedHostDevices } from '../host-devices/wanted.ts';
import type { Vm } from '../vm.ts';
import { isUp } from '../vm-info.ts';

/** Why a VM cannot migrate, in a sentence each without a full stop; empty if it can. */
export function whyNotMigrated(vm: Pick<Vm, 'info' | 'config' | 'devices'>): string[] {
  const { info, config, devices } = vm;
  if (!isUp(info) || config === null || devices === null) {
    const why =
      info.state === 'stuck' ? `: ${info.reason}` : ', and only one that runs or is paused migrates';
    return [`it is ${info.state}${why}`];
  }
  return [
    ...hostDeviceProblems(config),
    ...devices.pluggingIn.map(device => `${device} is being attached: wait until it is`),
    ...deviceProblems(config),
  ];
}

function hostDeviceProblems({ devices }: MachineConfig): string[] {
  return wantedHostDevices(devices).map(
    ({ device, address }) =>
      `${device} is ${address} of this host, and its state is in the hardware: detach it first`,
  );
}

function deviceProblems({ devices }: MachineConfig): string[] {
  const known = devices.filter(({ type }) => deviceTable.find(type) !== undefined);
  const names = deviceTable.names(known);
  return known.flatMap((config, index) => {
    const name = names[index]!;
    const problems: string[] = [];
    const chardev = deviceTable.chardev(config);
    if (chardev?.type === 'file')
      problems.push(`${name} writes to the file ${chardev.path} of this host: connect it to a console`);
    if (chardev !== null && 'logfile' in chardev && chardev.logfile !== undefined)
      problems.push(`${name} has a log file, ${chardev.logfile}, on this host: remove it`);
    if (deviceTable.tpm(config)?.type === 'emulator')
      problems.push(`the state of its TPM, ${name}, is in files of this host: shut it down to move it`);
    const disk = deviceTable.disk(config);
    if (disk !== null && isFolder(disk.format))
      problems.push(`its disk ${disk.path} is made of a folder of this host: detach it`);
    return problems;
  });
}

/** The same for the disks that its machine has. */
export function whyDisksDoNotMigrate(disks: readonly DiskLabel[]): string[] {
  return disks.flatMap(({ path, transient }) =>
    transient ? [`its disk ${path} is transient: what the guest has written is in no file`] : [],
  );
}
