import type { DeviceMemory } from '../../device-memory.ts';
import { GFX, GFX_MISC, GFX_MODE, MEMORY_MODE, MISC, SEQ } from './registers.ts';
import type { VgaRegisters } from './vga-registers.ts';

/** The legacy window, 0xa0000-0xbffff. Memory Map Select shows one of these parts. */
export const WINDOW = { start: 0xa_0000, size: 0x2_0000 } as const;
const MAPS = [
  { offset: 0, size: 0x2_0000 },
  { offset: 0, size: 0x1_0000 },
  { offset: 0x1_0000, size: 0x8000 },
  { offset: 0x1_8000, size: 0x8000 },
] as const;

/** The bytes of a word that a 4-bit plane mask selects. */
const PLANES = Uint32Array.from({ length: 16 }, (_, bits) =>
  [0, 1, 2, 3].reduce((word, plane) => word + (bits & (1 << plane) ? 0xff * 2 ** (8 * plane) : 0), 0),
);

/**
 * The memory of a VGA as the CPU reaches it through the legacy window. The four planes are interleaved: word n holds
 * byte n of each, so that memory with chained planes is linear, like the frame buffer.
 */
export class PlaneMemory {
  readonly #memory: DeviceMemory;
  readonly #bytes: Uint8Array;
  readonly #words: Uint32Array;
  readonly #registers: VgaRegisters;
  readonly #bankOffset: () => number;
  /** The last byte read from each plane. */
  latch = 0;

  constructor(memory: DeviceMemory, registers: VgaRegisters, bankOffset: () => number) {
    this.#memory = memory;
    this.#bytes = memory.bytes;
    this.#words = new Uint32Array(memory.bytes.buffer, memory.bytes.byteOffset, memory.size / 4);
    this.#registers = registers;
    this.#bankOffset = bankOffset;
  }

  /** The part of the window that is decoded. */
  get map(): { readonly offset: number; readonly size: number } {
    return MAPS[(this.#registers.graphics[GFX.misc]! & GFX_MISC.map) >> 2]!;
  }

  /** @param offset from the window's start */
  readByte(offset: number): number {
    const address = this.#address(offset);
    const { sequencer, graphics } = this.#registers;
    const chained = (sequencer[SEQ.memoryMode]! & MEMORY_MODE.chain4) !== 0;
    const oddEven = (graphics[GFX.mode]! & GFX_MODE.oddEven) !== 0;
    const word = chained ? address >>> 2 : oddEven ? address >>> 1 : address;
    if (address < 0 || word >= this.#words.length) return 0xff;
    this.latch = this.#words[word]!;
    if (chained) return this.#bytes[address]!;
    if (oddEven) return this.#bytes[4 * word + ((graphics[GFX.readMap]! & 2) | (address & 1))]!;
    if ((graphics[GFX.mode]! & GFX_MODE.readCompare) === 0)
      return this.#bytes[4 * word + graphics[GFX.readMap]!]!;
    const differs =
      (this.latch ^ PLANES[graphics[GFX.colorCompare]!]!) & PLANES[graphics[GFX.colorDontCare]!]!;
    const halves = differs | (differs >>> 16);
    return ~(halves | (halves >>> 8)) & 0xff;
  }

  writeByte(offset: number, value: number): void {
    const address = this.#address(offset);
    const { sequencer, graphics } = this.#registers;
    let mask = sequencer[SEQ.mapMask]!;
    let word = address;
    if ((sequencer[SEQ.memoryMode]! & MEMORY_MODE.chain4) !== 0) {
      mask &= 1 << (address & 3);
      word = address >>> 2;
    } else if ((graphics[GFX.mode]! & GFX_MODE.oddEven) !== 0) {
      mask &= (address & 1) === 0 ? 0x5 : 0xa;
      word = address >>> 1;
    }
    if (address < 0 || mask === 0 || word >= this.#words.length) return;
    const planes = PLANES[mask]!;
    const data = this.#data(value);
    this.#memory.writable(4 * word, 4);
    this.#words[word] = (this.#words[word]! & ~planes) | (data & planes);
  }

  /** Applies the graphics controller's functions to a byte that the CPU writes. */
  #data(value: number): number {
    const { graphics } = this.#registers;
    const mode = graphics[GFX.mode]! & GFX_MODE.write;
    if (mode === 1) return this.latch;
    const rotate = graphics[GFX.dataRotate]! & 7;
    const rotated = ((value >>> rotate) | (value << (8 - rotate))) & 0xff;
    const setReset = PLANES[graphics[GFX.setReset]!]!;
    let bits = graphics[GFX.bitMask]!;
    let data: number;
    if (mode === 0) {
      const set = PLANES[graphics[GFX.enableSetReset]!]!;
      data = (Math.imul(rotated, 0x0101_0101) & ~set) | (setReset & set);
    } else if (mode === 2) {
      data = PLANES[value & 0xf]!;
    } else {
      data = setReset;
      bits &= rotated;
    }
    const operation = graphics[GFX.dataRotate]! >>> 3;
    if (operation === 1) data &= this.latch;
    else if (operation === 2) data |= this.latch;
    else if (operation === 3) data ^= this.latch;
    const mask = Math.imul(bits, 0x0101_0101);
    return (data & mask) | (this.latch & ~mask);
  }

  /** The address in memory of an offset in the window; negative if it has none. */
  #address(offset: number): number {
    const { offset: start, size } = this.map;
    const isThere = (this.#registers.misc & MISC.ram) !== 0 && offset >= start && offset < start + size;
    return isThere ? offset - start + this.#bankOffset() : -1;
  }
}
