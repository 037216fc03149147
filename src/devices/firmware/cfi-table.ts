/** The size of each chip's write buffer, as a power of two. */
export const WRITE_BUFFER_BITS = 11;

/**
 * What the chip answers to a CFI query (JESD68.01 §2.2; its extension for Intel's command set is §3 of Intel AP-646).
 */
export function cfiTable(size: number, blockSize: number): Uint8Array {
  const table = Buffer.alloc(0x52);
  const blocks = size / blockSize - 1;
  table.write('QRY', 0x10, 'latin1');
  // Intel's extended command set, whose table is at 0x31; no other.
  table.writeUInt16LE(1, 0x13);
  table.writeUInt16LE(0x31, 0x15);
  // 4.5 to 5.5 V, and no voltage for programming.
  table[0x1b] = 0x45;
  table[0x1c] = 0x55;
  // Typical times, as powers of two: 128 us for a byte, 128 us for a buffer, 1 s for a block.
  table[0x1f] = 7;
  table[0x20] = 7;
  table[0x21] = 10;
  // The maximum times, as multiples of these.
  table.fill(4, 0x23, 0x26);
  // The size of a chip is a power of two; this one ends before that.
  table[0x27] = Math.ceil(Math.log2(size));
  table[0x28] = 0; // 8 bits wide
  table.writeUInt16LE(WRITE_BUFFER_BITS, 0x2a);
  // One region of erase blocks.
  table[0x2c] = 1;
  table.writeUInt16LE(blocks & 0xffff, 0x2d);
  table.writeUInt16LE((blockSize / 256) & 0xffff, 0x2f);
  table.write('PRI10', 0x31, 'latin1');
  return table;
}
