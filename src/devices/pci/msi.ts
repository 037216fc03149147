import type { DeviceState, MsiVector } from '../device.ts';
import type { PciFunction } from './pci-function.ts';
import { CAPABILITY } from './registers.ts';

/** Offsets in the capability with one vector, a 64-bit address and a mask (PCI Local Bus 3.0 §6.8.1). */
const MSI = { control: 2, address: 4, addressHigh: 8, data: 12, mask: 16, pending: 20, body: 22 } as const;
/** Message control. */
const ENABLE = 0x1;
const ADDRESS_64 = 0x80;
const MASKABLE = 0x100;

/** MSI of a function with one vector. */
export class Msi {
  readonly #function: PciFunction;
  readonly #vector: MsiVector;
  readonly #at: number;
  readonly #onEnable: (() => void) | undefined;

  /** @param onEnable called when MSI may have been enabled or disabled */
  constructor(fn: PciFunction, vector: MsiVector, onEnable?: () => void) {
    this.#function = fn;
    this.#vector = vector;
    this.#onEnable = onEnable;
    const at = fn.addCapability(CAPABILITY.msi, new Uint8Array(MSI.body));
    this.#at = at;
    const { config } = fn;
    config.define(at + MSI.control, 2, ADDRESS_64 | MASKABLE, { writable: ENABLE });
    config.define(at + MSI.address, 4, 0, { writable: 0xffff_fffc });
    config.define(at + MSI.addressHigh, 4, 0, { writable: 0xffff_ffff });
    config.define(at + MSI.data, 2, 0, { writable: 0xffff });
    config.define(at + MSI.mask, 4, 0, { writable: 1 });
    fn.addHook({ start: at + MSI.control, end: at + MSI.pending, afterWrite: () => this.update() });
    fn.addHook({
      start: at + MSI.pending,
      end: at + MSI.pending + 4,
      beforeRead: () => config.setU32(at + MSI.pending, vector.pending ? 1 : 0),
    });
    fn.onBusMaster(() => this.update());
  }

  get enabled(): boolean {
    return (this.#function.config.u16(this.#at + MSI.control) & ENABLE) !== 0;
  }

  /** Sends the message, or keeps it pending while the vector is masked. */
  signal(): void {
    if (this.enabled) this.#vector.signal();
  }

  /** Updates the vector from configuration space. */
  update(): void {
    const { config, busMaster } = this.#function;
    const masked = (config.u32(this.#at + MSI.mask) & 1) !== 0;
    if (!this.enabled) this.#vector.clearPending();
    const low = BigInt(config.u32(this.#at + MSI.address));
    const address = (BigInt(config.u32(this.#at + MSI.addressHigh)) << 32n) | low;
    const message = { address, data: config.u16(this.#at + MSI.data) };
    this.#vector.configure(this.enabled && !masked && busMaster ? message : null);
    this.#onEnable?.();
  }

  reset(): void {
    this.#vector.clearPending();
    this.update();
  }

  save(): DeviceState {
    return { pending: this.#vector.pending };
  }

  /** Call after the function's configuration space has been loaded. */
  load(state: DeviceState): void {
    this.#vector.clearPending();
    this.update();
    if (state.pending === true) this.#vector.signal();
  }

  release(): void {
    this.#vector.release();
  }
}
