import { FLASH_BLOCK, Flash } from '../../devices/firmware/flash.ts';
import { PAGE } from '../../devices/host-block.ts';
import { allocateBlock } from '../memory/device-block.ts';
import { FIRMWARE } from '../memory/layout.ts';
import type { MachineMemory } from '../memory/machine-memory.ts';
import { PRIORITY } from '../memory/memory-range.ts';
import type { ResourceOwner } from '../native/resource-owner.ts';
import { BootError } from './boot-error.ts';

/** A file with the contents of flash memory. */
export interface FlashFile {
  /** The path, for errors. */
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** Fills `target` from byte `offset` on. @throws BootError */
  readInto(target: Uint8Array, offset: number, part: string): void;
  /** Absent: the guest's changes are not kept. @throws SystemError */
  write?(bytes: Uint8Array, offset: number): void;
}

/**
 * Flash memory just below the firmware, which holds UEFI's variables. Reads are direct; a write, and a read of anything
 * but the contents, is an exit. A guest's change is in the file before its instruction completes, so however the
 * machine is killed, firmware finds a state that it can recover, as after a power failure.
 * @param romSize of the firmware @param warn warns the user, once, that the file cannot be written @throws BootError
 */
export function addFlash(
  file: FlashFile,
  romSize: number,
  memory: Pick<MachineMemory, 'space'>,
  owner: ResourceOwner,
  warn: (text: string) => void,
): Flash {
  const { name, size } = file;
  if (size === 0 || size % FLASH_BLOCK !== 0 || romSize + size > FIRMWARE.maxSize)
    throw new BootError(
      `${name} does not hold the variables of UEFI firmware: its size is ${size} bytes, which is not a multiple of ${PAGE}, or too large; remove it, and a new one is created`,
    );
  const block = allocateBlock(owner, 'flash', size);
  const bytes = new Uint8Array(block.buffer);
  file.readInto(bytes, 0, 'content');
  let hasFailed = false;
  const keep = (offset: number, length: number) => {
    try {
      file.write?.(bytes.subarray(offset, offset + length), offset);
      hasFailed = false;
    } catch (error) {
      if (!hasFailed) warn(`UEFI's variables cannot be written to ${name}: ${(error as Error).message}`);
      hasFailed = true;
    }
  };
  const flash = new Flash({
    ...{ name: 'flash', bytes, onChanged: keep },
    onArray: isArray => {
      if (isArray) array.map(start);
      else array.unmap();
    },
  });
  const start = FIRMWARE.end - romSize - size;
  const place = { start, size, priority: PRIORITY.chipset };
  const { space } = memory;
  space.add({ ...place, kind: 'mmio', name: 'flash', handler: flash });
  const array = space.add({
    ...{ ...place, kind: 'rom', name: 'flash contents', block, priority: PRIORITY.chipset + 1 },
    onWrite: (offset, length, value) => flash.write(offset, length, value),
  });
  return flash;
}
