import type { DeviceFact } from '../device-type.ts';
import type { BlockBackend } from '../virtio/block-backend.ts';
import { type DiskOptions, isFolder } from './disk.ts';

/** What screens show of a disk, or of a drive's medium; null if the drive is empty. */
export function diskFacts(
  medium: Pick<DiskOptions, 'path' | 'format' | 'cache' | 'readonly' | 'transient' | 'detectZeroes'> | null,
  disk: Pick<BlockBackend, 'size' | 'format' | 'backing' | 'canDiscard'> | null,
): DeviceFact[] {
  if (medium === null || disk === null) return [{ label: 'path', value: medium?.path ?? 'empty' }];
  return [
    { label: 'path', value: medium.path },
    { label: 'size', value: disk.size, unit: 'bytes' },
    { label: 'format', value: isFolder(medium.format) ? medium.format : disk.format },
    ...disk.backing.map(value => ({ label: 'backing file', value })),
    { label: 'cache', value: medium.cache },
    { label: 'read-only', value: medium.readonly },
    ...(medium.transient ? [{ label: 'transient', value: true }] : []),
    { label: 'discard', value: !medium.readonly && disk.canDiscard },
    ...(medium.detectZeroes === undefined || medium.detectZeroes === 'off'
      ? []
      : [{ label: 'zeros written', value: medium.detectZeroes === 'unmap' ? 'unmapped' : 'detected' }]),
  ];
}
