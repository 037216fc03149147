import type { BuiltDevice, DiskControl } from '../../devices/device-type.ts';
import type { MachineCommands } from './messages.ts';

type Arguments<Name extends 'resize-disk' | 'limit-disk'> = MachineCommands[Name]['arguments'];

/** The disk of a device takes a size that its file has now. @throws an error for the user */
export function resizeDisk(
  devices: readonly BuiltDevice[],
  { device, bytes, file }: Arguments<'resize-disk'>,
): void {
  const disk = diskOf(devices, device);
  if (disk.file !== file) {
    throw new Error(
      `the file of ${device} has been replaced by another one of the same name, which this VM gets at its next start`,
    );
  }
  disk.resize(bytes);
}

/** Limits the rate of a device's disk. @throws an error for the user */
export function limitDisk(
  devices: readonly BuiltDevice[],
  { device, limits }: Arguments<'limit-disk'>,
): void {
  diskOf(devices, device).setLimits(limits);
}

function diskOf(devices: readonly BuiltDevice[], name: string): DiskControl {
  const disk = devices.find(({ device }) => device.name === name)?.capabilities?.disk;
  if (disk !== undefined) return disk;
  const disks = devices.filter(({ capabilities }) => capabilities?.disk).map(({ device }) => device.name);
  throw new Error(
    `no disk is named "${name}": ${disks.length === 0 ? 'the VM has none' : `it is one of ${disks.join(', ')}`}`,
  );
}
