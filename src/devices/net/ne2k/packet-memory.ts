import { ADDRESS_BYTES } from '../ethernet.ts';

/** The local bus of an NE2000: a PROM with its address, and 16 KiB of RAM for packets. */
export const PAGE = 256;
export const RAM = { start: 0x4000, end: 0x8000 } as const;
const ADDRESS_SPACE = 0x1_0000;

/** Each byte of the PROM appears in both halves of a word. The last two bytes mark a 16-bit card. */
const PROM_BYTES = 32;
const PROM_MARK = { at: 14, byte: 0x57 } as const;
/** The value of unmapped addresses. */
const FLOATING = 0xff;

export class PacketMemory {
  readonly ram = new Uint8Array(RAM.end - RAM.start);
  readonly #prom = new Uint8Array(PROM_BYTES);

  constructor(mac: Uint8Array) {
    const bytes = new Uint8Array(PROM_BYTES / 2).fill(PROM_MARK.byte, PROM_MARK.at);
    bytes.set(mac.subarray(0, ADDRESS_BYTES));
    for (let at = 0; at < PROM_BYTES; at++) this.#prom[at] = bytes[at >> 1]!;
  }

  read(address: number): number {
    if (address >= RAM.start && address < RAM.end) return this.ram[address - RAM.start]!;
    return address < PROM_BYTES ? this.#prom[address]! : FLOATING;
  }

  write(address: number, byte: number): void {
    if (address >= RAM.start && address < RAM.end) this.ram[address - RAM.start] = byte;
  }

  /** A view of [start, start + length) if it is RAM, else a copy of what reads return there. */
  bytes(start: number, length: number): Uint8Array {
    if (start >= RAM.start && start + length <= RAM.end) {
      return this.ram.subarray(start - RAM.start, start - RAM.start + length);
    }
    return Uint8Array.from({ length }, (_, at) => this.read((start + at) % ADDRESS_SPACE));
  }

  /** Writes within one page. @param at offset in it */
  putInPage(page: number, at: number, bytes: Uint8Array): void {
    const address = PAGE * page + at;
    if (address >= RAM.start && address < RAM.end) this.ram.set(bytes, address - RAM.start);
  }
}
