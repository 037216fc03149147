import { closeSync } from 'node:fs';
import { deviceTable } from '../../devices/registry.ts';
import type { Vm } from '../vm.ts';
import { isUp } from '../vm-info.ts';
import type { Medium, MediumChange } from './hotplug-info.ts';
import { openDiskFor } from './open-disk.ts';

/** Inserts a medium into a drive of a running VM, or ejects it. @throws an error for the user */
export async function changeMedium(vm: Vm, device: string, { medium, force }: MediumChange): Promise<void> {
  const { info, devices } = vm;
  if (!isUp(info)) throw new Error(`${vm.name} is ${info.state}: change the medium in its definition`);
  const known = devices?.get(device);
  if (known === undefined) throw new Error(noDrive(vm, device));
  // The drive's own settings stay, such as whether the medium is writable.
  const { path: _, format: __, cache: ___, ...drive } = known;
  const next = medium === null ? drive : { ...drive, ...given(medium) };
  const options = deviceTable.disk(next);
  if (medium !== null && options === null) throw new Error(noDrive(vm, device));
  const opened = options === null ? null : await openDiskFor(options);
  try {
    const disk = opened && { options: options!, facts: opened.facts };
    await vm.commandWithFds('change-medium', { device, force, disk }, opened?.fds ?? []);
    devices!.change(device, next);
  } finally {
    for (const fd of opened?.fds ?? []) closeSync(fd);
  }
}

function given({ path, format, cache }: Medium) {
  return { path, ...(format !== undefined && { format }), cache };
}

function noDrive({ name, info }: Vm, device: string): string {
  const drives = info.topology?.devices.filter(({ drive }) => drive) ?? [];
  const choice = drives.length === 0 ? 'it has none' : `it has ${drives.map(drive => drive.name).join(', ')}`;
  return `${name} has no drive "${device}" whose medium can be changed: ${choice}`;
}
