import { stat } from 'node:fs/promises';
import { sizeText } from '../text/size.ts';
import { DiskError } from '../vmm/backends/disk-error.ts';
import { changeDiskSize, type SizeChange } from '../vmm/backends/disk-size.ts';
import { fileIdentity } from '../vmm/backends/file-identity.ts';
import { resizeRefusal } from './resize-refusal.ts';
import type { Vm } from './vm.ts';

/** Resizes a disk of a running VM and notifies its guest. @returns bytes. @throws an error for the user */
export async function resizeDisk(vm: Vm, device: string, change: SizeChange): Promise<number> {
  if (!vm.alive || vm.config === null) {
    throw new Error(
      `${vm.name} is ${vm.info.state}: it finds the size of its disks when it starts, so only resize the file`,
    );
  }
  const { path, fact } = diskOf(vm, device);
  if (fact('format') === 'qcow2') return growQcow2(vm, { device, path, size: Number(fact('size')) }, change);
  return changeDiskSize(path, change, async ({ bytes, file }) => {
    await vm.command('resize-disk', { device, bytes, file });
  });
}

/** Has the machine resize a qcow2 image, as it holds the image's tables in memory. @throws an error for the user */
async function growQcow2(
  vm: Vm,
  { device, path, size }: { readonly device: string; readonly path: string; readonly size: number },
  { bytes }: SizeChange,
): Promise<number> {
  if (bytes === null)
    throw new DiskError(
      `disk ${path} is a qcow2 image, whose size does not follow its file: give the new size`,
    );
  if (bytes < size)
    throw new DiskError(
      `disk ${path} has ${sizeText(size)}: a qcow2 image cannot shrink while its VM runs; shut it down, then use vring image resize --shrink`,
    );
  const file = fileIdentity(await stat(path, { bigint: true }));
  await vm.command('resize-disk', { device, bytes, file });
  return bytes;
}

/**
 * The path of a disk that can be resized, and its other facts, by its device name. Only the machine knows the names, as
 * they depend on its device modules.
 * @throws an error for the user
 */
function diskOf({ name, info }: Vm, device: string) {
  const disks = info.topology?.devices.filter(({ backend }) => backend === 'disk') ?? [];
  const disk = disks.find(label => label.name === device);
  if (disk === undefined) {
    const choice = disks.length === 0 ? 'it has none' : `it has ${disks.map(label => label.name).join(', ')}`;
    throw new Error(`${name} has no disk "${device}": ${choice}`);
  }
  const refusal = resizeRefusal(name, disk);
  if (refusal !== null) throw new DiskError(refusal);
  const fact = (wanted: string) => disk.facts.find(({ label }) => label === wanted)?.value;
  return { path: String(fact('path')), fact };
}
