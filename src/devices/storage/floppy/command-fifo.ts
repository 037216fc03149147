import type { DeviceState } from '../../device.ts';
import { bytesOf, DeviceStateError, numberOf } from '../../state.ts';
import { isTransfer } from './execution.ts';
import { fixedBytesOf } from './fixed-bytes.ts';
import {
  COMMANDS,
  type CommandName,
  commandOf,
  DRIVE_SPECIFICATION,
  MAX_COMMAND,
  MAX_RESULT,
} from './registers.ts';

/** Receiving the bytes of a command, carrying it out, or returning its result. */
export type Phase = 'command' | 'execution' | 'result';

/** The bytes of a command and of its result, which go through the FIFO one at a time. */
export class CommandFifo {
  #phase: Phase = 'command';
  /** The bytes of the command so far. */
  #command = new Uint8Array(MAX_COMMAND);
  #received = 0;
  #result = new Uint8Array(0);
  #given = 0;

  get phase(): Phase {
    return this.#phase;
  }

  /** The command's bytes, followed by leftovers of earlier ones. */
  get command(): Uint8Array {
    return this.#command;
  }

  /** The number of bytes received. */
  get received(): number {
    return this.#received;
  }

  awaitCommand(): void {
    this.#phase = 'command';
    this.#received = 0;
    this.#result = new Uint8Array(0);
    this.#given = 0;
  }

  /**
   * Adds a byte of a command. @returns its name once it is complete; null if there is no such command; undefined if
   * more bytes are to come
   */
  give(value: number): CommandName | null | undefined {
    this.#command[this.#received++] = value;
    const name = commandOf(this.#command[0]!);
    if (name === null) return null;
    const isLast =
      name === 'driveSpecification' && this.#received > 1 && (value & DRIVE_SPECIFICATION.done) !== 0;
    return isLast || this.#received > COMMANDS[name].parameters ? name : undefined;
  }

  /** The command is carried out. @returns its bytes */
  execute(): Uint8Array {
    this.#phase = 'execution';
    return this.#command.slice(0, this.#received);
  }

  /** The command has ended with this result. */
  answer(bytes: readonly number[]): void {
    this.#result = Uint8Array.from(bytes);
    this.#given = 0;
    this.#phase = 'result';
  }

  /** The next byte of the result; after the last one, the next command is expected. */
  take(): number {
    const byte = this.#result[this.#given++]!;
    if (this.#given === this.#result.length) this.awaitCommand();
    return byte;
  }

  reset(): void {
    this.awaitCommand();
    this.#command.fill(0);
  }

  save(): DeviceState {
    return {
      phase: this.#phase,
      command: this.#command.slice(),
      received: this.#received,
      result: this.#result.slice(this.#given),
    };
  }

  /** @returns the command that is being carried out, if any. @throws DeviceStateError */
  load(state: DeviceState): CommandName | null {
    this.#command = fixedBytesOf(state, 'command', MAX_COMMAND);
    this.#received = numberOf(state, 'received', MAX_COMMAND);
    const result = bytesOf(state, 'result');
    if (result.length > MAX_RESULT)
      throw new DeviceStateError('result', `result of at most ${MAX_RESULT} bytes`);
    const name = this.#received === 0 ? null : commandOf(this.#command[0]!);
    const bytes = name === null ? 0 : COMMANDS[name].parameters + 1;
    const isPossible = {
      command: result.length === 0 && (this.#received === 0 || this.#received < bytes),
      execution: result.length === 0 && isTransfer(name) && this.#received === bytes,
      result: result.length > 0,
    };
    const { phase } = state;
    if ((phase !== 'command' && phase !== 'execution' && phase !== 'result') || !isPossible[phase])
      throw new DeviceStateError('phase', 'phase');
    this.#phase = phase;
    this.#result = result.slice();
    this.#given = 0;
    return phase === 'execution' ? name : null;
  }
}
