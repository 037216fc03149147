import type { TpmBackend, TpmState } from '../../src/devices/backends/tpm.ts';

/** A TPM that records its commands, and responds immediately unless delayed by the test. */
export class FakeTpm implements TpmBackend {
  readonly label = 'fake';
  readonly commands: { readonly locality: number; readonly command: number[] }[] = [];
  /** The response to the next commands. */
  response = Uint8Array.of(0x80, 0x01, 0, 0, 0, 12, 0, 0, 0, 0, 0xab, 0xcd);
  waits = false;
  cancels = 0;
  #done: ((response: Uint8Array) => void) | null = null;
  #volatile: Uint8Array = new Uint8Array();

  execute(locality: number, command: Uint8Array, done: (response: Uint8Array) => void): void {
    if (this.#done !== null) throw new Error('a TPM carries out one command at a time');
    this.commands.push({ locality, command: [...command] });
    this.#volatile = Uint8Array.of(...this.#volatile, command[command.length - 1]!).slice(-4);
    this.#done = done;
    if (!this.waits) this.answer();
  }

  answer(): void {
    const done = this.#done;
    this.#done = null;
    done?.(this.response);
  }

  cancel(): void {
    this.cancels++;
  }

  powerOff(): void {
    this.#volatile = new Uint8Array();
  }

  readState(done: (state: TpmState | null) => void): void {
    done({ permanent: new Uint8Array(), volatile: this.#volatile, saved: new Uint8Array() });
  }

  writeState({ volatile }: TpmState): void {
    this.#volatile = volatile.slice();
  }

  close(): void {}
}
