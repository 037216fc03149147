import { isFolder } from '../devices/backends/disk.ts';
import type { DeviceLabel } from '../vmm/machine/topology.ts';

/** Why the disk of a device cannot be resized while its VM runs; null if it can. */
export function resizeRefusal(
  vm: string,
  { name, facts }: Pick<DeviceLabel, 'name' | 'facts'>,
): string | null {
  const fact = (wanted: string) => facts.find(({ label }) => label === wanted)?.value;
  const path = String(fact('path'));
  if (fact('size') === undefined) return `${name} of ${vm} is empty`;
  if (fact('transient') === true) return `disk ${path} is transient: resize it while ${vm} is shut off`;
  if (isFolder(fact('format')))
    return `disk ${path} is made of a folder, and has the size that its files need`;
  return null;
}
