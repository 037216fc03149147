import type { HostBlock } from '../../devices/host-block.ts';
import { PAGE } from '../../devices/host-block.ts';
import { allocateBlock } from '../memory/device-block.ts';
import { FIRMWARE, SHADOW } from '../memory/layout.ts';
import type { MachineMemory } from '../memory/machine-memory.ts';
import { PRIORITY } from '../memory/memory-range.ts';
import type { ResourceOwner } from '../native/resource-owner.ts';
import { BootError } from './boot-error.ts';
import type { ImageFile } from './image-file.ts';

const KiB = 2 ** 10;
/** This much of the end of the ROM is also visible below 1 MiB. */
const ISA_SIZE = 128 * KiB;
const SHADOW_END = SHADOW.start + SHADOW.size;

/**
 * Maps a machine's firmware: up to 4 GiB, where a CPU starts after a reset, and its end also up to 1 MiB, until
 * firmware has copied that into RAM.
 * @throws BootError
 */
export function showFirmware(
  image: ImageFile,
  memory: Pick<MachineMemory, 'space' | 'shadow'>,
  owner: ResourceOwner,
): HostBlock {
  const { name, size } = image;
  if (size === 0 || size % PAGE !== 0 || size > FIRMWARE.maxSize) {
    throw new BootError(
      `${name} is not firmware: it has ${size} bytes, which is not a multiple of 4 KiB up to ${FIRMWARE.maxSize / KiB / KiB} MiB`,
    );
  }
  const block = allocateBlock(owner, 'firmware', size);
  image.readInto(new Uint8Array(block.buffer), 0, 'content');
  const shadowed = Math.min(size, ISA_SIZE);
  memory.space.batch(() => {
    memory.space.add({
      ...{ kind: 'rom', name: 'firmware', start: FIRMWARE.end - size, size, block },
      priority: PRIORITY.chipset,
    });
    memory.shadow.place({ start: SHADOW_END - shadowed, size: shadowed, block, offset: size - shadowed });
  });
  return block;
}
