import type { HostRoot } from '../root.ts';

/** How much of a function's config space could be read. */
export type ConfigAccess =
  /** All of it. */
  | 'full'
  /** The first 64 bytes: what the kernel shows to other users than root. */
  | 'header'
  /** Nothing: asleep in D3cold, where a read would wake it. */
  | 'asleep'
  /** All ones: the function does not answer on the bus. */
  | 'dead'
  | 'none';

/**
 * Config space read on demand: on hardware each dword is a bus transaction, and there are devices that hang when
 * registers are read that they do not have. Only the header and what a decoder asks for is read.
 */
export class ConfigSpace {
  /** False when not even the header could be read. */
  readonly present: boolean;
  readonly #header = Buffer.allocUnsafe(64);
  readonly #dword = Buffer.allocUnsafe(4);
  readonly #beyond = new Map<number, number | null>();
  readonly #read: (into: Buffer, offset: number) => number;

  constructor(read: (into: Buffer, offset: number) => number) {
    this.#read = read;
    this.present = read(this.#header, 0) === this.#header.length;
  }

  /** Can this dword be read? Without privilege none beyond the header can. @param offset a multiple of 4 */
  has(offset: number): boolean {
    return this.#load(offset) !== null;
  }

  u8(offset: number): number {
    return (this.u32(offset & ~3) >>> ((offset & 3) * 8)) & 0xff;
  }

  u16(offset: number): number {
    return (this.u32(offset & ~3) >>> ((offset & 2) * 8)) & 0xffff;
  }

  /** Outside of what exists everything reads as ones, as on the bus. @param offset a multiple of 4 */
  u32(offset: number): number {
    return this.#load(offset) ?? 0xffffffff;
  }

  #load(offset: number): number | null {
    if (!this.present) return null;
    if (offset < this.#header.length) return this.#header.readUInt32LE(offset);
    let value = this.#beyond.get(offset);
    if (value === undefined) {
      value = this.#read(this.#dword, offset) === 4 ? this.#dword.readUInt32LE() : null;
      this.#beyond.set(offset, value);
    }
    return value;
  }
}

/** Opens a function's config space and hands it to `use`; null when there is none. */
export function withConfigSpace<T>(
  root: HostRoot,
  devicePath: string,
  use: (config: ConfigSpace) => T,
): T | null {
  return root.withFile(`${devicePath}/config`, read => use(new ConfigSpace(read)));
}
