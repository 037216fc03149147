import { deviceTable } from '../devices/registry.ts';
import { changeDiskSize, type SizeChange } from '../vmm/backends/disk-size.ts';
import type { Vm } from './vm.ts';

/** Gives a disk of a running VM another size, of which its guest is told. @returns bytes. @throws an error for the user */
export async function resizeDisk(vm: Vm, device: string, change: SizeChange): Promise<number> {
  if (!vm.alive || vm.config === null) {
    throw new Error(
      `${vm.name} is ${vm.info.state}: it finds the size of its disks when it starts, so only resize the file`,
    );
  }
  return changeDiskSize(diskPath(vm, device), change, async ({ bytes, file }) => {
    await vm.command('resize-disk', { device, bytes, file });
  });
}

/** The file of a disk, by the name of its device. @throws an error for the user */
function diskPath({ name, info, devices }: Vm, device: string): string {
  const known = devices?.get(device);
  const disk = known && deviceTable.disk(known);
  if (disk) return disk.path;
  const disks = info.topology?.devices.filter(({ backend }) => backend === 'disk') ?? [];
  if (disks.some(label => label.name === device)) throw new Error(`${device} of ${name} is empty`);
  const choice = disks.length === 0 ? 'it has none' : `it has ${disks.map(label => label.name).join(', ')}`;
  throw new Error(`${name} has no disk "${device}": ${choice}`);
}
