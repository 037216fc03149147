import type { AccessSize } from '../device.ts';
import { DeviceStateError } from '../state.ts';
import { EXTENDED_CONFIG_SIZE, REG, STATUS } from './registers.ts';

/** How the guest may change a register: bits it can write freely, and bits it clears by writing ones. */
export type RegisterBits = { readonly writable?: number; readonly clearable?: number };

/**
 * The 4 KiB of configuration space of one function: values, and which bits of them the guest may change. Undefined
 * bytes read as zero and ignore writes, as PCI Local Bus 3.0 §6.1 requires for reserved registers.
 */
export class ConfigSpace {
  readonly #values = new Uint8Array(EXTENDED_CONFIG_SIZE);
  readonly #defaults = new Uint8Array(EXTENDED_CONFIG_SIZE);
  readonly #writable = new Uint8Array(EXTENDED_CONFIG_SIZE);
  readonly #clearable = new Uint8Array(EXTENDED_CONFIG_SIZE);
  readonly #view = new DataView(this.#values.buffer);
  #freeCapability: number = REG.firstCapability;
  #lastCapabilityLink: number = REG.capabilities;

  /** Sets the power-on value and the write rules of the register of `size` bytes at `offset`. */
  define(offset: number, size: 1 | 2 | 3 | 4, value: number, bits: RegisterBits = {}): void {
    for (let i = 0; i < size; i++) {
      this.#values[offset + i] = value >>> (8 * i);
      this.#defaults[offset + i] = value >>> (8 * i);
      this.#writable[offset + i] = (bits.writable ?? 0) >>> (8 * i);
      this.#clearable[offset + i] = (bits.clearable ?? 0) >>> (8 * i);
    }
  }

  /**
   * Appends a capability to the list (PCI Local Bus 3.0 §6.7).
   * @param body what follows the ID and the next pointer
   * @returns the capability's offset
   */
  addCapability(id: number, body: Uint8Array): number {
    const offset = this.#freeCapability;
    if (offset + 2 + body.length > 256) throw new RangeError('PCI capabilities do not fit in 256 bytes');
    this.define(this.#lastCapabilityLink, 1, offset);
    this.define(offset, 2, id);
    body.forEach((value, i) => {
      this.define(offset + 2 + i, 1, value);
    });
    this.define(REG.status, 2, this.u16(REG.status) | STATUS.capabilities, {
      clearable: this.#clearable[REG.status]! | (this.#clearable[REG.status + 1]! << 8),
    });
    this.#lastCapabilityLink = offset + 1;
    this.#freeCapability = (offset + 2 + body.length + 3) & ~3;
    return offset;
  }

  /** A guest's read; `offset + size` must not exceed the size of the space. */
  read(offset: number, size: AccessSize): number {
    if (size === 4) return this.#view.getUint32(offset, true);
    return size === 2 ? this.#view.getUint16(offset, true) : this.#values[offset]!;
  }

  /** A guest's write: changes only what the guest may change. */
  write(offset: number, size: AccessSize, value: number): void {
    for (let i = 0; i < size; i++) {
      const byte = (value >>> (8 * i)) & 0xff;
      const at = offset + i;
      const writable = this.#writable[at]!;
      const kept = this.#values[at]! & ~writable & ~(byte & this.#clearable[at]!);
      this.#values[at] = kept | (byte & writable);
    }
  }

  u8(offset: number): number {
    return this.#values[offset]!;
  }

  u16(offset: number): number {
    return this.#view.getUint16(offset, true);
  }

  u32(offset: number): number {
    return this.#view.getUint32(offset, true);
  }

  /** The device's own writes, which bypass the guest's masks. */
  setU8(offset: number, value: number): void {
    this.#values[offset] = value;
  }

  setU16(offset: number, value: number): void {
    this.#view.setUint16(offset, value, true);
  }

  setU32(offset: number, value: number): void {
    this.#view.setUint32(offset, value, true);
  }

  reset(): void {
    this.#values.set(this.#defaults);
  }

  save(): Uint8Array {
    return this.#values.slice();
  }

  /** Restores what a guest could have changed; the rest stays as this device defines it. */
  load(saved: Uint8Array): void {
    if (saved.length !== EXTENDED_CONFIG_SIZE) {
      throw new DeviceStateError('config', `configuration space of ${EXTENDED_CONFIG_SIZE} bytes`);
    }
    for (let i = 0; i < EXTENDED_CONFIG_SIZE; i++) {
      const changeable = this.#writable[i]! | this.#clearable[i]!;
      this.#values[i] = (this.#defaults[i]! & ~changeable) | (saved[i]! & changeable);
    }
  }
}
