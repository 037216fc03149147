import { NO_TPM_STATE, type TpmBackend, type TpmState } from '../backends/tpm.ts';
import type { DeviceState } from '../device.ts';
import { bytesOf, DeviceStateError } from '../state.ts';
import type { Statistic } from '../statistic.ts';

/** The longest command or response: what TPMs of PCs have (TPM 2.0 library, TPM_PT_MAX_COMMAND_SIZE of libtpms). */
export const BUFFER_BYTES = 4096;
/** Of a command and a response: {be16 tag, be32 size, be32 code} (TPM 2.0 Part 1 §18). */
export const HEADER_BYTES = 10;
const SIZE_OFFSET = 2;
/** Of the state of a TPM that may be loaded. */
const MAX_STATE_BYTES = 2 ** 20;

/** The bytes that a command says it has; null: its header is not all there. */
export function sizeOf(command: Uint8Array, length: number): number | null {
  if (length < SIZE_OFFSET + 4) return null;
  return new DataView(command.buffer, command.byteOffset).getUint32(SIZE_OFFSET);
}

/** The TPM behind a register interface: it carries out a command at a time, and its state goes with that of the device. */
export class TpmUnit {
  readonly #backend: TpmBackend;
  readonly #commands: Statistic;
  #isBusy = false;
  /** Its answer is not wanted any more. */
  #isAborted = false;
  /** Of a device that is quiesced; null: the TPM is gone. */
  #state: TpmState | null = NO_TPM_STATE;
  #onQuiesced: (() => void) | null = null;

  /** @param commands counts what was carried out */
  constructor(backend: TpmBackend, commands: Statistic) {
    this.#backend = backend;
    this.#commands = commands;
  }

  /** The TPM has not answered yet: an aborted command takes its time, too. */
  get isBusy(): boolean {
    return this.#isBusy;
  }

  /** Not while it is busy. @param done not called for one that is aborted */
  execute(
    locality: number,
    command: Uint8Array,
    done: (response: Uint8Array) => void,
    idle: () => void,
  ): void {
    this.#isBusy = true;
    this.#isAborted = false;
    this.#commands.add(1);
    this.#backend.execute(locality, command.slice(), response => {
      this.#isBusy = false;
      if (!this.#isAborted) done(response.subarray(0, BUFFER_BYTES));
      idle();
      this.#drained();
    });
  }

  cancel(): void {
    if (this.#isBusy) this.#backend.cancel();
  }

  /** The same, and its answer is dropped. */
  abort(): void {
    this.#isAborted = true;
    this.cancel();
  }

  /** As at power-on. */
  reset(): void {
    this.#backend.powerOff();
    this.#state = this.#state && { ...this.#state, volatile: new Uint8Array(), saved: new Uint8Array() };
  }

  /** What it does is finished, and its state read. */
  quiesce(done: () => void): void {
    this.#onQuiesced = done;
    this.#drained();
  }

  resume(): void {
    this.#onQuiesced = null;
  }

  save(): DeviceState {
    if (this.#state === null)
      throw new Error('its TPM is gone, so that the VM cannot be saved, snapshotted or moved');
    return { ...this.#state };
  }

  /** @throws DeviceStateError */
  load(state: DeviceState): void {
    const [permanent, volatile, saved] = ['permanent', 'volatile', 'saved'].map(key => {
      const bytes = bytesOf(state, key);
      if (bytes.length > MAX_STATE_BYTES) throw new DeviceStateError(key, 'possible state of a TPM');
      return bytes;
    });
    this.#state = { permanent: permanent!, volatile: volatile!, saved: saved! };
    this.#backend.writeState(this.#state);
  }

  close(): void {
    this.#backend.close();
    this.#commands.release();
  }

  #drained(): void {
    const done = this.#onQuiesced;
    if (this.#isBusy || done === null) return;
    this.#backend.readState(state => {
      // It may have been resumed meanwhile.
      if (this.#onQuiesced !== done) return;
      this.#onQuiesced = null;
      this.#state = state;
      done();
    });
  }
}
