import type { DeviceState } from '../../device.ts';
import { bytesOf, DeviceStateError } from '../../state.ts';
import { EERW, EERW_ADDRESSES } from './registers.ts';

/**
 * The EEPROM of a card, accessed by EERD and EEWR (§10.2.2). What a guest writes lasts until the machine is reset, so
 * that a card always starts with its configured address.
 */
export class Nvm {
  readonly words: Uint16Array;
  readonly #initial: Uint16Array;

  constructor(words: Uint16Array) {
    this.words = words;
    this.#initial = words.slice();
  }

  /** What a write to EERD leaves there: a word is read immediately. */
  read(value: number): number {
    const address = addressOf(value);
    const word = this.words[address] ?? 0xffff;
    return (value & EERW.START) === 0
      ? address << EERW.addressShift
      : ((word << EERW.dataShift) | (address << EERW.addressShift) | EERW.DONE) >>> 0;
  }

  /** What a write to EEWR leaves there. */
  write(value: number): number {
    const address = addressOf(value);
    if ((value & EERW.START) !== 0) this.words[address] = value >>> EERW.dataShift;
    return ((value & ~EERW.START) | EERW.DONE) >>> 0;
  }

  reset(): void {
    this.words.set(this.#initial);
  }

  save(): Uint8Array {
    return new Uint8Array(this.words.slice().buffer);
  }

  /** What `save` saved under `key`. @throws DeviceStateError */
  load(state: DeviceState, key: string): void {
    const bytes = bytesOf(state, key);
    if (bytes.length !== this.words.byteLength)
      throw new DeviceStateError(key, `contents of ${this.words.byteLength} bytes`);
    new Uint8Array(this.words.buffer, this.words.byteOffset).set(bytes);
  }
}

function addressOf(value: number): number {
  return (value >>> EERW.addressShift) & EERW_ADDRESSES;
}
