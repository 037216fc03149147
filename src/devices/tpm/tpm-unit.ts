import { NO_TPM_STATE, type TpmBackend, type TpmState } from '../backends/tpm.ts';
import type { DeviceState } from '../device.ts';
import { bytesOf, DeviceStateError } from '../state.ts';
import type { Statistic } from '../statistic.ts';

/**
 * The maximum size of a command or response, as in TPMs of PCs (TPM 2.0 library, TPM_PT_MAX_COMMAND_SIZE of libtpms).
 */
export const BUFFER_BYTES = 4096;
/** The header of a command or response: {be16 tag, be32 size, be32 code} (TPM 2.0 Part 1 §18). */
export const HEADER_BYTES = 10;
const SIZE_OFFSET = 2;
/** The largest TPM state that is loaded. */
const MAX_STATE_BYTES = 2 ** 20;

/** The size in a command's header; null if the header is incomplete. */
export function sizeOf(command: Uint8Array, length: number): number | null {
  if (length < SIZE_OFFSET + 4) return null;
  return new DataView(command.buffer, command.byteOffset).getUint32(SIZE_OFFSET);
}

/**
 * The TPM behind a register interface: it carries out one command at a time, and its state is saved with the device's.
 */
export class TpmUnit {
  readonly #backend: TpmBackend;
  readonly #commands: Statistic;
  #isBusy = false;
  /** Its response is no longer wanted. */
  #isAborted = false;
  /** The state while the device is quiesced; null if the TPM is gone. */
  #state: TpmState | null = NO_TPM_STATE;
  #onQuiesced: (() => void) | null = null;

  /** @param commands counts executed commands */
  constructor(backend: TpmBackend, commands: Statistic) {
    this.#backend = backend;
    this.#commands = commands;
  }

  /** The TPM has not responded yet; an aborted command takes time, too. */
  get isBusy(): boolean {
    return this.#isBusy;
  }

  /** Not while it is busy. @param done not called for an aborted command */
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

  /** Cancels the command, and drops its response. */
  abort(): void {
    this.#isAborted = true;
    this.cancel();
  }

  /** Restores the power-on state. */
  reset(): void {
    this.#backend.powerOff();
    this.#state = this.#state && { ...this.#state, volatile: new Uint8Array(), saved: new Uint8Array() };
  }

  /** Waits for the current command, and reads the state. */
  quiesce(done: () => void): void {
    this.#onQuiesced = done;
    this.#drained();
  }

  resume(): void {
    this.#onQuiesced = null;
  }

  save(): DeviceState {
    if (this.#state === null)
      throw new Error('its TPM is gone, so the VM cannot be saved, snapshotted or moved');
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
      // It may have been resumed in the meantime.
      if (this.#onQuiesced !== done) return;
      this.#onQuiesced = null;
      this.#state = state;
      done();
    });
  }
}
