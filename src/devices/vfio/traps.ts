import type { AccessSize, IoHandler } from '../device.ts';

/**
 * A part of a region that a model handles in place of the device, such as an MSI-X table. Bytes, from the start of the
 * region.
 */
export type Trap = { readonly start: number; readonly size: number; readonly handler: IoHandler };

/** Accesses to a region with traps. Of overlapping traps the first handles an access. */
export class TrappedAccess implements IoHandler {
  readonly #device: IoHandler;
  readonly #traps: readonly Trap[];

  /** @param traps read at each access */
  constructor(device: IoHandler, traps: readonly Trap[]) {
    this.#device = device;
    this.#traps = traps;
  }

  read(offset: number, size: AccessSize): number {
    const trap = this.#trapAt(offset, size);
    if (trap === null) return this.#device.read(offset, size);
    if (trap !== 'split') return trap.handler.read(offset - trap.start, size);
    let value = 0;
    for (let i = 0; i < size; i++) value |= (this.read(offset + i, 1) & 0xff) << (8 * i);
    return value >>> 0;
  }

  write(offset: number, size: AccessSize, value: number): void {
    const trap = this.#trapAt(offset, size);
    if (trap === null) this.#device.write(offset, size, value);
    else if (trap !== 'split') trap.handler.write(offset - trap.start, size, value);
    else for (let i = 0; i < size; i++) this.write(offset + i, 1, (value >>> (8 * i)) & 0xff);
  }

  /** The trap that contains all of [offset, offset + size); `split` if one contains only a part. */
  #trapAt(offset: number, size: number): Trap | 'split' | null {
    for (const trap of this.#traps) {
      const end = trap.start + trap.size;
      if (offset >= end || offset + size <= trap.start) continue;
      return offset >= trap.start && offset + size <= end ? trap : 'split';
    }
    return null;
  }
}
