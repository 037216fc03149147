import type { BuiltDevice, DiskControl } from '../../devices/device-type.ts';
import type { HostFiles } from './host-files.ts';
import { diskOfFacts, type MachineCommands } from './messages.ts';

type Arguments<Name extends 'resize-disk' | 'limit-disk' | 'change-medium'> =
  MachineCommands[Name]['arguments'];

/** Sets a device's disk to the present size of its file. @throws an error for the user */
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

/**
 * Changes the medium of a device's drive. @param fds of the disk that comes with it, which this function takes over;
 * null if they have not arrived
 * @throws an error for the user
 */
export function changeMedium(
  devices: readonly BuiltDevice[],
  files: HostFiles,
  { device, force, disk }: Arguments<'change-medium'>,
  fds: readonly number[] | null,
): void {
  if (disk !== null && fds === null) throw new Error('the medium did not reach the machine: try again');
  const takeBack =
    disk === null ? () => {} : files.give({ ...disk.options, ...diskOfFacts(disk.facts, fds!) });
  try {
    const { drive } = diskOf(devices, device);
    if (!drive) throw new Error(`${device} is not a drive: its medium stays`);
    drive.change(disk?.options ?? null, force);
  } finally {
    takeBack();
  }
}

function diskOf(devices: readonly BuiltDevice[], name: string): DiskControl {
  const disk = devices.find(({ device }) => device.name === name)?.capabilities?.disk;
  if (disk !== undefined) return disk;
  const disks = devices.filter(({ capabilities }) => capabilities?.disk).map(({ device }) => device.name);
  throw new Error(
    `no disk is named "${name}": ${disks.length === 0 ? 'the VM has none' : `it is one of ${disks.join(', ')}`}`,
  );
}
