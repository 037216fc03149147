import type { AccessSize, IoHandler } from '../../devices/device.ts';
import type { HostBlock } from '../../devices/host-block.ts';

/** Takes a write to memory; `at` is relative to the block. */
export type BlockWrite = (at: number, size: AccessSize, value: number) => void;

/** Answers accesses to a block's memory, from `start` on, that do not reach it directly. */
export function blockAccess(block: HostBlock, start: number, write: BlockWrite): IoHandler {
  const viewed = dataOf(block);
  return {
    read(offset, size) {
      const at = start + offset;
      const data = viewed();
      if (size === 4) return data.getUint32(at, true);
      return size === 2 ? data.getUint16(at, true) : data.getUint8(at);
    },
    write: (offset, size, value) => write(start + offset, size, value),
  };
}

/** Writes to the block itself. */
export function storeIn(block: HostBlock, wrote: (at: number, size: AccessSize) => void): BlockWrite {
  const viewed = dataOf(block);
  return (at, size, value) => {
    wrote(at, size);
    const data = viewed();
    if (size === 4) data.setUint32(at, value, true);
    else if (size === 2) data.setUint16(at, value, true);
    else data.setUint8(at, value);
  };
}

/** Created at the first access. */
function dataOf(block: HostBlock): () => DataView {
  let data: DataView | null = null;
  return () => {
    data ??= new DataView(block.buffer);
    return data;
  };
}
