import type { AccessSize, DeviceState, MsiVector } from '../device.ts';
import { bytesOf, DeviceStateError } from '../state.ts';
import type { PciFunction } from './pci-function.ts';
import { CAPABILITY } from './registers.ts';

/** Message control, and the locations of table and pending bits (PCI Local Bus 3.0 §6.8.2.3-5). */
const CONTROL = 2;
const TABLE = 4;
const PENDING = 8;
/** The bytes that follow ID and next pointer. */
const BODY = 10;
const ENABLE = 0x8000;
const FUNCTION_MASK = 0x4000;

/** Words of a table entry (§6.8.2.6-9): address low and high, data, vector control. */
const ENTRY_WORDS = 4;
const ENTRY_BYTES = 4 * ENTRY_WORDS;
const VECTOR_CONTROL = 3;
const MASKED = 1;

export type MsixOptions = {
  readonly vectors: readonly MsiVector[];
  /** Offsets of the table and the pending bits in BAR `bar`, multiples of 8. */
  readonly bar: number;
  readonly tableOffset: number;
  readonly pendingOffset: number;
  /** The BAR of the pending bits, if different. */
  readonly pendingBar?: number;
  /** The offset of the capability, for a function that links its own capabilities; default: appended. */
  readonly at?: number;
  /** MSI-X was enabled or disabled. */
  readonly onEnable?: (enabled: boolean) => void;
};

/**
 * MSI-X of one function (PCI Local Bus 3.0 §6.8.2): the capability, and the table and pending bits, to which the owner
 * of the BAR forwards accesses. A vector sends its message while MSI-X is on, neither mask is set, and the function is
 * a bus master: a message is a write to memory.
 */
export class Msix {
  readonly vectors: readonly MsiVector[];
  readonly #function: PciFunction;
  readonly #control: number;
  readonly #table: Uint32Array;
  /** 1 for vectors that have a message. */
  readonly #sending: Uint8Array;
  readonly #onEnable: ((enabled: boolean) => void) | undefined;
  #released = false;
  #enabled = false;
  #masked = false;

  constructor(fn: PciFunction, options: MsixOptions) {
    this.vectors = options.vectors;
    this.#function = fn;
    this.#onEnable = options.onEnable;
    this.#table = new Uint32Array(options.vectors.length * ENTRY_WORDS);
    this.#sending = new Uint8Array(options.vectors.length);
    this.#maskAll();

    const offset = options.at ?? fn.addCapability(CAPABILITY.msix, new Uint8Array(BODY));
    this.#control = offset + CONTROL;
    fn.config.define(offset + TABLE, 4, (options.tableOffset | options.bar) >>> 0);
    const pendingBar = options.pendingBar ?? options.bar;
    fn.config.define(offset + PENDING, 4, (options.pendingOffset | pendingBar) >>> 0);
    fn.config.define(this.#control, 2, options.vectors.length - 1, { writable: ENABLE | FUNCTION_MASK });
    fn.addHook({ start: this.#control, end: this.#control + 2, afterWrite: () => this.#readControl() });
    fn.onBusMaster(() => this.#readControl());
  }

  get enabled(): boolean {
    return this.#enabled;
  }

  /** A guest's read at `offset` in the table. */
  readTable(offset: number): number {
    const word = this.#table[offset >>> 2] ?? 0;
    return word >>> (8 * (offset & 3));
  }

  /**
   * A guest's write to the table. Narrow accesses, which the specification leaves undefined, change only their bytes.
   */
  writeTable(offset: number, size: AccessSize, value: number): void {
    const index = offset >>> 2;
    if (index >= this.#table.length || (offset & 3) + size > 4) return;
    const shift = 8 * (offset & 3);
    const mask = size === 4 ? 0xffff_ffff : ((1 << (8 * size)) - 1) << shift;
    const word = (this.#table[index]! & ~mask) | ((value << shift) & mask);
    this.#table[index] = index % ENTRY_WORDS === VECTOR_CONTROL ? word & MASKED : word;
    this.#configure(Math.floor(index / ENTRY_WORDS));
  }

  /** A guest's read in the pending bits, which are read-only. */
  readPending(offset: number, size: AccessSize): number {
    let bits = 0;
    for (let i = 0; i < 8 * size; i++) {
      if (this.vectors[8 * offset + i]?.pending) bits |= 1 << i;
    }
    return bits >>> 0;
  }

  reset(): void {
    this.#maskAll();
    for (const vector of this.vectors) vector.clearPending();
    this.#readControl();
  }

  save(): DeviceState {
    const pending = Uint8Array.from(this.vectors, vector => (vector.pending ? 1 : 0));
    return { table: new Uint8Array(this.#table.slice().buffer), pending };
  }

  /** Call after the function's configuration space has been loaded. */
  load(state: DeviceState): void {
    const table = bytesOf(state, 'table');
    if (table.length !== this.vectors.length * ENTRY_BYTES) {
      throw new DeviceStateError('table', `table of ${this.vectors.length} MSI-X vectors`);
    }
    new Uint8Array(this.#table.buffer).set(table);
    for (const vector of this.vectors) vector.clearPending();
    this.#readControl();
    bytesOf(state, 'pending').forEach((pending, i) => {
      if (pending) this.vectors[i]?.signal();
    });
  }

  /** Releases the vectors: the function is unplugged. */
  release(): void {
    for (const vector of this.vectors) vector.release();
    this.#released = true;
  }

  #maskAll(): void {
    this.#table.fill(0);
    for (let i = VECTOR_CONTROL; i < this.#table.length; i += ENTRY_WORDS) this.#table[i] = MASKED;
  }

  #readControl(): void {
    if (this.#released) return;
    const control = this.#function.config.u16(this.#control);
    const enabled = (control & ENABLE) !== 0;
    const switched = enabled !== this.#enabled;
    this.#enabled = enabled;
    this.#masked = (control & FUNCTION_MASK) !== 0;
    for (let i = 0; i < this.vectors.length; i++) this.#configure(i);
    if (switched) this.#onEnable?.(enabled);
  }

  #configure(index: number): void {
    const word = index * ENTRY_WORDS;
    const masked = (this.#table[word + VECTOR_CONTROL]! & MASKED) !== 0;
    if (!this.#enabled || this.#masked || masked || !this.#function.busMaster) {
      // A new route costs a system call, so skip it for a vector that is already silent.
      if (this.#sending[index] === 1) this.vectors[index]!.configure(null);
      this.#sending[index] = 0;
      return;
    }
    this.#sending[index] = 1;
    const address = (BigInt(this.#table[word + 1]!) << 32n) | BigInt(this.#table[word]!);
    this.vectors[index]!.configure({ address, data: this.#table[word + 2]! });
  }
}
