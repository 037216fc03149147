import type { DeviceState } from '../../device.ts';
import { DeviceStateError, numberOf } from '../../state.ts';
import { PORT, PORT_CMD, PORT_IRQ_MASK, SCTL } from './registers.ts';

const WORDS = 2 ** 32;

/** The registers of a port (AHCI 1.3.1 §3.3), by their offsets, 32 bits each. */
export class PortRegisters {
  readonly #values = new Map<number, number>();

  get(offset: number): number {
    return this.#values.get(offset) ?? 0;
  }

  set(offset: number, value: number): void {
    this.#values.set(offset, value >>> 0);
  }

  /** Changes bits of a register. */
  change(offset: number, { set = 0, clear = 0 }: { readonly set?: number; readonly clear?: number }): void {
    this.set(offset, (this.get(offset) & ~clear) | set);
  }

  /** Whether a bit of PxCMD is set. */
  has(bit: number): boolean {
    return (this.get(PORT.cmd) & bit) !== 0;
  }

  /** A guest-physical address in two registers. */
  address(low: number, high: number): number {
    return this.get(low) + this.get(high) * WORDS;
  }

  /** PxCMD.CCS: the slot of the current command. */
  set currentSlot(slot: number) {
    const CURRENT_SLOT = 0x1f << PORT_CMD.currentSlotShift;
    this.change(PORT.cmd, { clear: CURRENT_SLOT, set: slot << PORT_CMD.currentSlotShift });
  }

  clear(): void {
    for (const offset of Object.values(PORT)) this.#values.set(offset, 0);
  }

  save(): DeviceState {
    return Object.fromEntries(Object.entries(PORT).map(([name, offset]) => [name, this.get(offset)]));
  }

  /** Checks a saved state. @returns a function that takes it over. @throws DeviceStateError */
  load(state: DeviceState): () => void {
    const loaded = new Map(
      Object.entries(PORT).map(([name, offset]) => [offset, numberOf(state, name, WORDS - 1)]),
    );
    const isClean =
      (loaded.get(PORT.clb)! & 0x3ff) === 0 &&
      (loaded.get(PORT.fb)! & 0xff) === 0 &&
      (loaded.get(PORT.ie)! & ~PORT_IRQ_MASK) === 0 &&
      loaded.get(PORT.sctl)! <= SCTL.writable;
    if (!isClean) throw new DeviceStateError('clb', 'state of a port');
    return () => {
      for (const [offset, value] of loaded) this.#values.set(offset, value);
    };
  }
}
