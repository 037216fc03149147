import { deviceTable } from '../devices/registry.ts';
import { changeDiskSize, type SizeChange } from '../vmm/backends/disk-size.ts';
import type { MachineConfig } from '../vmm/machine/config.ts';
import type { Vm } from './vm.ts';

/** Gives a disk of a running VM another size, of which its guest is told. @returns bytes. @throws an error for the user */
export async function resizeDisk(vm: Vm, device: string, change: SizeChange): Promise<number> {
  if (!vm.alive || vm.config === null) {
    throw new Error(
      `${vm.name} is ${vm.info.state}: it finds the size of its disks when it starts, so only resize the file`,
    );
  }
  return changeDiskSize(diskPath(vm, vm.config, device), change, async ({ bytes, file }) => {
    await vm.command('resize-disk', { device, bytes, file });
  });
}

/**
 * The file of a disk, by the name of its device. Only the machine knows the names: they depend on its device modules.
 * @throws an error for the user
 */
function diskPath({ name, info }: Vm, { devices }: MachineConfig, device: string): string {
  const paths = devices.flatMap(options => deviceTable.disk(options)?.path ?? []);
  const labels = info.topology?.devices.filter(({ backend }) => backend === 'disk') ?? [];
  const disks = new Map(labels.map((label, index) => [label.name, paths[index]]));
  const path = disks.get(device);
  if (path !== undefined) return path;
  const choice = disks.size === 0 ? 'it has none' : `it has ${[...disks.keys()].join(', ')}`;
  throw new Error(`${name} has no disk "${device}": ${choice}`);
}
