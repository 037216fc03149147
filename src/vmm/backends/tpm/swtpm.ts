import type { CharBackend } from '../../../devices/backends/char.ts';
import { NO_TPM_STATE, type TpmBackend, type TpmState } from '../../../devices/backends/tpm.ts';

/**
 * Commands of swtpm's control channel, and flags (swtpm: include/swtpm/tpm_ioctl.h; swtpm_ioctls(3)). All numbers are
 * big endian.
 */
const CONTROL = {
  init: 2,
  setLocality: 5,
  cancel: 9,
  getState: 12,
  setState: 13,
  stop: 14,
} as const;
const INIT_DELETE_VOLATILE = 1;
const STATE_TYPES = { permanent: 1, volatile: 2, saved: 3 } as const;
/** Bytes in front of a part of the state: {result, flags, length of all, length of what follows}. */
const STATE_HEADER = 16;
const RESULT_BYTES = 4;
/** {be16 tag, be32 size, be32 code}. */
const RESPONSE_HEADER = 10;
const MAX_RESPONSE = 64 * 1024;
/** TPM_ST_NO_SESSIONS, TPM_RC_FAILURE: the response of a broken TPM (TPM 2.0 Part 2 §6.6.3). */
const FAILURE = Uint8Array.of(0x80, 0x01, 0, 0, 0, RESPONSE_HEADER, 0, 0, 0x01, 0x01);

type Channel = 'data' | 'control';

/** A request that waits for its response; they run one after the other. */
type Step = {
  readonly channel: Channel;
  readonly request: Uint8Array;
  /** The length of the response that begins with these bytes; null if not known yet. */
  readonly size: (answer: Uint8Array) => number | null;
  /** Null if swtpm is gone. */
  readonly done: (answer: Uint8Array | null) => void;
};

export type SwtpmParts = {
  readonly label: string;
  readonly data: CharBackend;
  readonly control: CharBackend;
  /** Warns the user once if swtpm is gone, or does not do what it is asked. */
  readonly warn: (text: string) => void;
};

/** A TPM emulated by swtpm: commands go over one socket; another one turns it on and off and transfers its state. */
export class Swtpm implements TpmBackend {
  readonly label: string;
  readonly #parts: SwtpmParts;
  readonly #steps: Step[] = [];
  /** The part received so far of the response to the first step. */
  #answer = new Uint8Array();
  #isAsked = false;
  #isOn = false;
  #isGone = false;
  #locality = 0;
  /** To be restored before it is turned on. */
  #state: TpmState | null = null;

  constructor(parts: SwtpmParts) {
    this.label = parts.label;
    this.#parts = parts;
    for (const channel of ['data', 'control'] as const) {
      parts[channel].onInput = bytes => this.#receive(channel, bytes);
      parts[channel].onConnected = connected => {
        if (!connected) this.#gone('its program has ended');
      };
    }
  }

  execute(locality: number, command: Uint8Array, done: (response: Uint8Array) => void): void {
    if (!this.#isOn) this.#turnOn();
    if (locality !== this.#locality) {
      this.#locality = locality;
      this.#send(CONTROL.setLocality, Uint8Array.of(locality, 0, 0, 0));
    }
    this.#add({
      channel: 'data',
      request: command,
      size: answer =>
        answer.length < RESPONSE_HEADER
          ? null
          : Math.max(new DataView(answer.buffer, answer.byteOffset).getUint32(2), RESPONSE_HEADER),
      done: answer => done(answer ?? FAILURE),
    });
  }

  cancel(): void {
    // The other channel is busy with the command to cancel; the response to this is read after that one's.
    if (this.#isAsked && this.#steps[0]!.channel === 'data' && this.#steps[1] === undefined)
      this.#addCancel();
  }

  powerOff(): void {
    this.#isOn = false;
    if (this.#state !== null)
      this.#state = { ...this.#state, volatile: new Uint8Array(), saved: new Uint8Array() };
  }

  readState(done: (state: TpmState | null) => void): void {
    if (this.#isGone || !this.#isOn) {
      done(this.#isGone ? null : (this.#state ?? NO_TPM_STATE));
      return;
    }
    const parts: Record<string, Uint8Array> = {};
    for (const [name, type] of Object.entries(STATE_TYPES)) {
      this.#add({
        channel: 'control',
        request: words(CONTROL.getState, 0, type, 0),
        size: answer => {
          if (answer.length < RESULT_BYTES) return null;
          const view = new DataView(answer.buffer, answer.byteOffset);
          // A blob that it does not have has no length.
          if (answer.length < STATE_HEADER) return view.getUint32(0) === 0 ? null : STATE_HEADER;
          return STATE_HEADER + view.getUint32(12);
        },
        done: answer => {
          if (answer !== null) parts[name] = answer.slice(STATE_HEADER);
          if (type === STATE_TYPES.saved) done(answer === null ? null : (parts as unknown as TpmState));
        },
      });
    }
  }

  writeState(state: TpmState): void {
    this.#state = state;
    this.#isOn = false;
  }

  close(): void {
    this.#isGone = true;
    this.#parts.data.close?.();
    this.#parts.control.close?.();
    this.#steps.length = 0;
  }

  #turnOn(): void {
    this.#isOn = true;
    this.#locality = 0;
    // It may have been on for another machine, or before a reset.
    this.#send(CONTROL.stop);
    const state = this.#state;
    this.#state = null;
    for (const [name, type] of Object.entries(STATE_TYPES)) {
      const bytes = state?.[name as keyof TpmState] ?? new Uint8Array();
      if (bytes.length > 0) this.#send(CONTROL.setState, concat(words(0, type, bytes.length), bytes));
    }
    this.#send(CONTROL.init, words(state === null ? 0 : INIT_DELETE_VOLATILE));
  }

  #addCancel(): void {
    this.#parts.control.write(words(CONTROL.cancel));
    this.#steps.push({
      ...{ channel: 'control', request: new Uint8Array(), size: () => RESULT_BYTES },
      done: () => {},
    });
  }

  /** Sends a command whose response is only a result code. */
  #send(command: number, body = new Uint8Array()): void {
    this.#add({
      channel: 'control',
      request: concat(words(command), body),
      size: () => RESULT_BYTES,
      done: answer => {
        const result = answer === null ? 0 : new DataView(answer.buffer, answer.byteOffset).getUint32(0);
        if (result !== 0) this.#gone(`it answers ${result} to command ${command}`);
      },
    });
  }

  #add(step: Step): void {
    if (this.#isGone) {
      step.done(null);
      return;
    }
    this.#steps.push(step);
    this.#ask();
  }

  #ask(): void {
    const step = this.#steps[0];
    if (this.#isAsked || step === undefined) return;
    const channel = this.#parts[step.channel];
    if (step.request.length > (channel.room ?? Number.POSITIVE_INFINITY)) {
      this.#gone(`it does not accept ${step.request.length} bytes at once`);
      return;
    }
    this.#isAsked = true;
    if (step.request.length > 0) channel.write(step.request);
  }

  #receive(channel: Channel, bytes: Uint8Array): void {
    this.#parts[channel].inputTaken?.(bytes.length, 0);
    const step = this.#steps[0];
    if (step === undefined || !this.#isAsked || step.channel !== channel) {
      // The response to a cancel may arrive before that to the canceled command.
      const next = this.#steps[1];
      if (next?.request.length === 0 && next.channel === channel) this.#steps.splice(1, 1);
      else this.#gone('it sent data without a request');
      return;
    }
    this.#answer = concat(this.#answer, bytes);
    const size = step.size(this.#answer);
    if (size !== null && size > MAX_RESPONSE + STATE_HEADER) this.#gone(`it answers with ${size} bytes`);
    if (this.#isGone || size === null || this.#answer.length < size) return;
    const answer = this.#answer;
    this.#answer = new Uint8Array();
    this.#isAsked = false;
    this.#steps.shift();
    step.done(answer);
    this.#ask();
  }

  #gone(why: string): void {
    if (this.#isGone) return;
    this.#isGone = true;
    this.#parts.warn(`the TPM has failed: ${why}`);
    for (const { done } of this.#steps.splice(0)) done(null);
  }
}

function words(...values: readonly number[]): Uint8Array<ArrayBuffer> {
  const view = new DataView(new ArrayBuffer(4 * values.length));
  for (const [index, value] of values.entries()) view.setUint32(4 * index, value);
  return new Uint8Array(view.buffer);
}

function concat(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
