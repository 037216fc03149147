import { HostReadError, type HostRoot } from '../root.ts';

/** How much of a function's config space is readable. */
export type ConfigAccess =
  /** All of it. */
  | 'full'
  /** The first 64 bytes: what the kernel shows to users other than root. */
  | 'header'
  /** Nothing: it is in D3cold, and a read would wake it. */
  | 'asleep'
  /** All ones: the function does not respond on the bus. */
  | 'dead'
  | 'none';

/**
 * Config space read on demand: each dword is a bus transaction, and some devices hang when nonexistent registers
 * are read. Only the header and what a decoder asks for is read.
 */
export class ConfigSpace {
  /** False if not even the header could be read. */
  readonly present: boolean;
  readonly #header = Buffer.allocUnsafe(64);
  readonly #dword = Buffer.allocUnsafe(4);
  readonly #beyond = new Map<number, number | null>();
  readonly #read: (into: Buffer, offset: number) => number;

  constructor(read: (into: Buffer, offset: number) => number) {
    this.#read = read;
    this.present = read(this.#header, 0) === this.#header.length;
  }

  /** Whether this dword is readable; without privilege, only the header is. @param offset a multiple of 4 */
  has(offset: number): boolean {
    return this.#load(offset) !== null;
  }

  u8(offset: number): number {
    return (this.u32(offset & ~3) >>> ((offset & 3) * 8)) & 0xff;
  }

  u16(offset: number): number {
    return (this.u32(offset & ~3) >>> ((offset & 2) * 8)) & 0xffff;
  }

  /** Reads outside of what exists return all ones, as on the bus. @param offset a multiple of 4 */
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

/** Opens a function's config space for `use`; null if there is none, or it cannot be read. */
export function withConfigSpace<T>(
  root: HostRoot,
  devicePath: string,
  use: (config: ConfigSpace) => T,
): T | null {
  try {
    return root.withFile(`${devicePath}/config`, read => use(new ConfigSpace(read)));
  } catch (error) {
    if (error instanceof HostReadError) return null;
    throw error;
  }
}
