import { fstatSync, readSync } from 'node:fs';
import { decodeState, encodeState, MAX_STATE_BYTES, StateError } from '../snapshot/state-codec.ts';
import type { MachineState } from './machine-state.ts';
import { SCROLLBACK_BYTES } from './report.ts';

/** The earlier output of a port. */
export type PrintedBefore = { readonly port: number; readonly bytes: Uint8Array };

/** The part of a snapshot besides RAM and disks. */
export type SavedMachine = {
  /** Checked when it is loaded. */
  readonly machine: MachineState;
  /** The last output of each of its consoles. */
  readonly printed: readonly PrintedBefore[];
};

export function encodeSaved(saved: SavedMachine): Uint8Array {
  return encodeState(saved);
}

/** Reads the file of a state. @throws StateError */
export function readStateFile(fd: number): Uint8Array {
  const { size } = fstatSync(fd);
  if (size > MAX_STATE_BYTES) throw new StateError(`it has ${size} bytes`);
  const bytes = new Uint8Array(size);
  let done = 0;
  while (done < size) {
    const count = readSync(fd, bytes, done, size - done, done);
    if (count === 0) throw new StateError('it is truncated');
    done += count;
  }
  return bytes;
}

/** Reads the file of a snapshot's state, which is untrusted. @throws StateError */
export function readSaved(fd: number): SavedMachine {
  const state = decodeState(readStateFile(fd)) as Partial<SavedMachine> | null;
  if (!isObject(state) || !isObject(state.machine) || !Array.isArray(state.printed))
    throw new StateError('it is not the state of a machine');
  return { machine: state.machine, printed: state.printed.filter(isPrinted) };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isPrinted(value: unknown): value is PrintedBefore {
  if (!isObject(value)) return false;
  const { port, bytes } = value;
  return (
    Number.isInteger(port) &&
    (port as number) >= 0 &&
    (port as number) < 256 &&
    bytes instanceof Uint8Array &&
    bytes.length <= SCROLLBACK_BYTES
  );
}
