import type { HostConfig } from './host-config.ts';
import type { PassedFunction } from './passed-function.ts';
import { TriggeredVector, type VectorServices } from './triggered-vector.ts';

/** Message control (PCI Local Bus 3.0 §6.8.1.3). */
const CONTROL = 2;
const ENABLE = 0x1;
const CAPABLE = { shift: 1, mask: 0x7 } as const;
const ENABLED = { shift: 4, mask: 0x7 } as const;
const ADDRESS_64 = 0x80;
const MASKABLE = 0x100;
/** More are reserved (§6.8.1.3). */
const MAX_LOG = 5;

export type PassedMsiOptions = {
  /** The offset of the capability. */
  readonly at: number;
  /** Vectors that the host supports for the device. */
  readonly available: number;
  readonly inKernel: boolean;
  readonly services: VectorServices;
  /** MSI was enabled or disabled. */
  readonly onEnable: () => void;
};

/** MSI of a passed-through function: the capability in the device's form, and up to 32 vectors. */
export class PassedMsi {
  readonly vectors: readonly TriggeredVector[];
  readonly #fn: PassedFunction;
  readonly #at: number;
  readonly #is64: boolean;
  readonly #maskable: boolean;
  readonly #onEnable: () => void;
  /** The vectors that the guest has enabled; 0 while MSI is off. */
  #enabled = 0;
  #released = false;

  constructor(fn: PassedFunction, host: HostConfig, options: PassedMsiOptions) {
    const { at, available, inKernel, services, onEnable } = options;
    this.#fn = fn;
    this.#at = at;
    this.#onEnable = onEnable;
    const flags = host.u16(at + CONTROL);
    this.#is64 = (flags & ADDRESS_64) !== 0;
    this.#maskable = (flags & MASKABLE) !== 0;
    const offered = Math.min((flags >>> CAPABLE.shift) & CAPABLE.mask, MAX_LOG);
    const log = Math.min(offered, Math.floor(Math.log2(Math.max(available, 1))));
    const count = 2 ** log;
    this.vectors = Array.from({ length: count }, () => new TriggeredVector(services, inKernel, () => {}));

    const { config } = fn;
    const { address, addressHigh, data, mask, pending, end } = this.#registers;
    fn.hide(at + 2, end);
    const control = (flags & (ADDRESS_64 | MASKABLE)) | (log << CAPABLE.shift);
    config.define(at + CONTROL, 2, control, { writable: ENABLE | (ENABLED.mask << ENABLED.shift) });
    config.define(address, 4, 0, { writable: 0xffff_fffc });
    if (addressHigh !== null) config.define(addressHigh, 4, 0, { writable: 0xffff_ffff });
    config.define(data, 2, 0, { writable: 0xffff });
    fn.addHook({ start: at + CONTROL, end, afterWrite: () => this.update() });
    fn.onBusMaster(() => this.update());
    if (!this.#maskable) return;
    config.define(mask, 4, 0, { writable: 2 ** count - 1 });
    fn.addHook({
      start: pending,
      end: pending + 4,
      beforeRead: () => {
        const bits = this.vectors.reduce((sum, vector, i) => sum + (vector.pending ? 2 ** i : 0), 0);
        config.setU32(pending, bits);
      },
    });
  }

  /** Vectors that the guest has enabled; 0 while MSI is off. */
  get enabled(): number {
    return this.#enabled;
  }

  /** Updates the vectors from configuration space. */
  update(): void {
    if (this.#released) return;
    const { config, busMaster } = this.#fn;
    const control = config.u16(this.#at + CONTROL);
    const { address, addressHigh, data, mask } = this.#registers;
    const wanted = (control & ENABLE) !== 0;
    // The number of vectors is read when MSI is enabled (§6.8.1.3).
    const before = this.#enabled;
    if (!wanted) this.#enabled = 0;
    else if (before === 0) {
      const log = Math.min((control >>> ENABLED.shift) & ENABLED.mask, MAX_LOG);
      this.#enabled = Math.min(2 ** log, this.vectors.length);
      for (const vector of this.vectors.slice(0, this.#enabled)) vector.arm();
    }
    const high = addressHigh === null ? 0n : BigInt(config.u32(addressHigh));
    const target = (high << 32n) | BigInt(config.u32(address));
    const masked = this.#maskable ? config.u32(mask) : 0;
    this.vectors.forEach((vector, index) => {
      const sends = index < this.#enabled && busMaster && ((masked >>> index) & 1) === 0;
      // The low bits of the data are the vector's number (§6.8.3.4).
      const number = (config.u16(data) & ~(this.#enabled - 1)) | index;
      vector.configure(sends ? { address: target, data: number } : null);
    });
    if ((before === 0) !== (this.#enabled === 0)) this.#onEnable();
  }

  release(): void {
    this.#released = true;
    for (const vector of this.vectors) vector.release();
  }

  /** Offsets of the registers, depending on the capability's form. */
  get #registers() {
    const at = this.#at;
    const data = at + (this.#is64 ? 12 : 8);
    const mask = data + 4;
    const end = this.#maskable ? mask + 8 : data + 2;
    return {
      address: at + 4,
      addressHigh: this.#is64 ? at + 8 : null,
      data,
      mask,
      pending: mask + 4,
      end,
    };
  }
}
