import type { DeviceState } from '../device.ts';
import { booleanOf, bytesOf, DeviceStateError, numberOf } from '../state.ts';

/** Operations, after a start bit of 1 (Microchip 93C46B/56B/66B data sheet, table 2). */
const OPERATION = { extended: 0, write: 1, read: 2, erase: 3 } as const;
/** Extended operations, by the two highest bits of the address. */
const EXTENDED = { writeDisable: 0, writeAll: 1, eraseAll: 2, writeEnable: 3 } as const;

/** The phases of a command. */
const PHASE = { start: 0, command: 1, data: 2, reading: 3, done: 4 } as const;
const LAST_PHASE = PHASE.done;
const WORD_BITS = 16;
const OPERATION_BITS = 2;

/**
 * A serial EEPROM of the Microwire family, with 16-bit words: 64 words are a 93C46, 128 a 93C56, 256 a 93C66. What a
 * guest writes to it lasts until the machine is reset, so that a card always starts with its configured address.
 */
export class SerialEeprom {
  readonly words: Uint16Array;
  readonly #initial: Uint16Array;
  /** The bits of an address on the wire: a 93C56 takes 8, of which it ignores the first. */
  readonly #addressBits: number;
  #selected = false;
  #clock = false;
  #output = true;
  #phase: number = PHASE.start;
  /** The bits received so far, or the bits to be sent. */
  #bits = 0;
  #count = 0;
  /** The operation that expects data. */
  #operation = 0;
  #address = 0;
  #writable = false;

  /** @param words 64, 128 or 256 */
  constructor(words: Uint16Array) {
    this.words = words;
    this.#initial = words.slice();
    this.#addressBits = words.length <= 64 ? 6 : 8;
  }

  /** The DO pin; an undriven line is high. */
  get output(): boolean {
    return this.#output;
  }

  /** The CS, SK and DI pins. */
  setPins(selected: boolean, clock: boolean, input: boolean): void {
    const rises = clock && !this.#clock;
    this.#clock = clock;
    if (selected !== this.#selected) {
      this.#selected = selected;
      this.#phase = PHASE.start;
      this.#output = true;
    }
    if (selected && rises) this.#clocked(input);
  }

  reset(): void {
    this.words.set(this.#initial);
    this.#selected = false;
    this.#clock = false;
    this.#output = true;
    this.#phase = PHASE.start;
    this.#bits = 0;
    this.#count = 0;
    this.#operation = 0;
    this.#address = 0;
    this.#writable = false;
  }

  /** Everything but the contents. */
  save(): DeviceState {
    return {
      selected: this.#selected,
      clock: this.#clock,
      output: this.#output,
      phase: this.#phase,
      bits: this.#bits,
      count: this.#count,
      operation: this.#operation,
      address: this.#address,
      writable: this.#writable,
    };
  }

  /** @throws DeviceStateError */
  load(state: DeviceState): void {
    this.#selected = booleanOf(state, 'selected');
    this.#clock = booleanOf(state, 'clock');
    this.#output = booleanOf(state, 'output');
    this.#phase = numberOf(state, 'phase', LAST_PHASE);
    this.#bits = numberOf(state, 'bits', 0xffff);
    this.#count = numberOf(state, 'count', WORD_BITS);
    this.#operation = numberOf(state, 'operation', OPERATION.erase);
    this.#address = numberOf(state, 'address', 2 ** this.#addressBits - 1);
    this.#writable = booleanOf(state, 'writable');
  }

  saveWords(): Uint8Array {
    return new Uint8Array(this.words.slice().buffer);
  }

  /** What `saveWords` saved under `key`. @throws DeviceStateError */
  loadWords(state: DeviceState, key: string): void {
    const bytes = bytesOf(state, key);
    if (bytes.length !== this.words.byteLength)
      throw new DeviceStateError(key, `contents of ${this.words.byteLength} bytes`);
    new Uint8Array(this.words.buffer, this.words.byteOffset).set(bytes);
  }

  #clocked(input: boolean): void {
    switch (this.#phase) {
      case PHASE.start:
        if (!input) return;
        this.#phase = PHASE.command;
        this.#collect();
        return;
      case PHASE.command:
        if (this.#collected(input, OPERATION_BITS + this.#addressBits)) this.#command();
        return;
      case PHASE.data:
        if (this.#collected(input, WORD_BITS)) this.#write();
        return;
      case PHASE.reading:
        this.#shiftOut();
        return;
    }
  }

  #collect(): void {
    this.#bits = 0;
    this.#count = 0;
  }

  #collected(input: boolean, wanted: number): boolean {
    this.#bits = ((this.#bits << 1) | Number(input)) & 0xffff;
    return ++this.#count >= wanted;
  }

  #command(): void {
    const operation = (this.#bits >> this.#addressBits) & 3;
    this.#operation = operation;
    this.#address = this.#bits & (2 ** this.#addressBits - 1);
    this.#collect();
    this.#phase = PHASE.done;
    if (operation === OPERATION.read) {
      this.#phase = PHASE.reading;
      // A zero precedes the data.
      this.#output = false;
    } else if (operation === OPERATION.write || this.#extended === EXTENDED.writeAll) {
      this.#phase = PHASE.data;
    } else if (operation === OPERATION.erase) {
      if (this.#writable) this.#setWord(0xffff);
    } else if (this.#extended === EXTENDED.eraseAll) {
      if (this.#writable) this.words.fill(0xffff);
    } else {
      this.#writable = this.#extended === EXTENDED.writeEnable;
    }
  }

  /** The extended operation; null for others. */
  get #extended(): number | null {
    return this.#operation === OPERATION.extended ? this.#address >> (this.#addressBits - 2) : null;
  }

  #write(): void {
    this.#phase = PHASE.done;
    if (!this.#writable) return;
    if (this.#operation === OPERATION.write) this.#setWord(this.#bits);
    else this.words.fill(this.#bits);
  }

  #setWord(value: number): void {
    this.words[this.#address % this.words.length] = value;
  }

  /** Bit 15 first; the words after it follow. */
  #shiftOut(): void {
    const word = this.words[this.#address % this.words.length]!;
    this.#output = ((word >> (WORD_BITS - 1 - this.#count)) & 1) !== 0;
    if (++this.#count < WORD_BITS) return;
    this.#count = 0;
    this.#address = (this.#address + 1) % this.words.length;
  }
}
