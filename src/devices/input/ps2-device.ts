import type { DeviceState } from '../device.ts';
import { ByteQueue } from '../legacy/byte-queue.ts';
import { bytesOf, numberOf } from '../state.ts';

/** Replies of both devices (IBM Personal System/2 Technical Reference, "Keyboard" and "Auxiliary Device"). */
export const REPLY = { ack: 0xfa, selfTestPassed: 0xaa, error: 0xfc, resend: 0xfe } as const;

/** More than the replies to any command with its parameter. */
const REPLIES_MAX = 16;

/** The output of a PS/2 device: replies to commands are sent ahead of input. */
export class Ps2Output {
  readonly #sent: () => void;
  readonly #replies = new ByteQueue(REPLIES_MAX);
  readonly #input: ByteQueue;
  readonly #max: number;
  /** The last byte sent, for the resend command. */
  #last = 0;

  /** @param max bytes of input. @param sent called when there is a byte to take */
  constructor(max: number, sent: () => void) {
    this.#input = new ByteQueue(max);
    this.#max = max;
    this.#sent = sent;
  }

  get isEmpty(): boolean {
    return this.#replies.length + this.#input.length === 0;
  }

  /** The number of bytes of input that still fit. */
  get room(): number {
    return this.#max - this.#input.length;
  }

  get hasInput(): boolean {
    return this.#input.length > 0;
  }

  take(): number | undefined {
    const byte = this.#replies.shift() ?? this.#input.shift();
    if (byte !== undefined) this.#last = byte;
    return byte;
  }

  reply(...bytes: readonly number[]): void {
    this.#replies.push(Uint8Array.from(bytes));
    this.#sent();
  }

  resend(): void {
    this.reply(this.#last);
  }

  input(bytes: readonly number[]): void {
    if (bytes.length === 0 || bytes.length > this.room) return;
    this.#input.push(Uint8Array.from(bytes));
    this.#sent();
  }

  dropInput(): void {
    this.#input.clear();
  }

  reset(): void {
    this.#replies.clear();
    this.#input.clear();
    this.#last = 0;
  }

  save(): DeviceState {
    return { replies: this.#replies.toBytes(), input: this.#input.toBytes(), last: this.#last };
  }

  /** @throws DeviceStateError */
  load(state: DeviceState): void {
    this.#last = numberOf(state, 'last', 0xff);
    this.#replies.replace(bytesOf(state, 'replies'));
    this.#input.replace(bytesOf(state, 'input'));
  }
}
