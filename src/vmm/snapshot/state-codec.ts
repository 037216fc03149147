/**
 * A machine's state as text: JSON, with types that JSON lacks as objects of one key: `{"$int":"-1f"}` is a bigint in
 * hexadecimal, `{"$bytes":"AAEC"}` bytes in base64. A file of it may have been written by anyone: `decodeState` accepts
 * nothing else, and no more than fits a machine.
 */
import type { StateValue } from '../../devices/device.ts';

/** Longest text that is decoded, in bytes of UTF-8. */
export const MAX_STATE_BYTES = 64 * 2 ** 20;
/** Limit of nested arrays and objects. */
const MAX_DEPTH = 32;
/** Limit of an integer's hexadecimal digits. */
const MAX_DIGITS = 64;

const INT = '$int';
const BYTES = '$bytes';
/** Byte arrays of at least this length are inserted into the text at the end. */
const LARGE = 64 * 2 ** 10;
/** Not base64. In a string that looks like the whole placeholder, JSON would have escaped the quotes. */
const PLACE_TEXT = '#';
const PLACE = `{"${BYTES}":"${PLACE_TEXT}"}`;

/** A text that is not a machine's state, or a value that cannot be one. */
export class StateError extends Error {
  override readonly name = 'StateError';
}

/** @throws StateError naming a value that is not allowed in a state: a function, undefined, NaN */
export function encodeState(state: unknown): Uint8Array {
  const large: Uint8Array[] = [];
  const text = JSON.stringify(toJson(state, 'state', 0, large));
  return withLarge(text, large);
}

/** Replaces placeholders by the base64 of `large`: passing a frame buffer through JSON would block the machine. */
function withLarge(text: string, large: readonly Uint8Array[]): Uint8Array {
  const parts = text.split(PLACE).flatMap((part, index) => {
    const bytes = large[index];
    if (bytes === undefined) return [Buffer.from(part)];
    return [Buffer.from(`${part}{"${BYTES}":"`), Buffer.from(base64Of(bytes), 'latin1'), Buffer.from('"}')];
  });
  return parts.length === 1 ? parts[0]! : Buffer.concat(parts);
}

/** @throws StateError */
export function decodeState(bytes: Uint8Array): StateValue {
  if (bytes.length > MAX_STATE_BYTES) throw new StateError(`it has ${bytes.length} bytes`);
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    throw new StateError((error as Error).message);
  }
  return fromJson(value, 'state', 0);
}

function base64Of({ buffer, byteOffset, byteLength }: Uint8Array): string {
  return Buffer.from(buffer, byteOffset, byteLength).toString('base64');
}

function placeFor(bytes: Uint8Array, large: Uint8Array[]): string {
  large.push(bytes);
  return PLACE_TEXT;
}

/** @param large receives the bytes that are not in the result, in order */
function toJson(value: unknown, where: string, depth: number, large: Uint8Array[]): unknown {
  if (depth > MAX_DEPTH) throw new StateError(`${where} is nested too deeply`);
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value;
  if (typeof value === 'number') {
    // JSON has no negative zero, infinity or NaN.
    if (Number.isFinite(value) && !Object.is(value, -0)) return value;
    throw new StateError(`${where} is ${Object.is(value, -0) ? '-0' : value}`);
  }
  if (typeof value === 'bigint') return { [INT]: hexOf(value, where) };
  if (value instanceof Uint8Array)
    return { [BYTES]: value.length < LARGE ? base64Of(value) : placeFor(value, large) };
  if (Array.isArray(value))
    return value.map((item, index) => toJson(item, `${where}[${index}]`, depth + 1, large));
  if (typeof value !== 'object') throw new StateError(`${where} is ${typeof value}`);
  const entries = Object.entries(value).map(([key, item]) => {
    checkKey(key, where);
    return [key, toJson(item, `${where}.${key}`, depth + 1, large)];
  });
  return Object.fromEntries(entries);
}

function fromJson(value: unknown, where: string, depth: number): StateValue {
  if (depth > MAX_DEPTH) throw new StateError(`${where} is nested too deeply`);
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value;
  // JSON.parse turns 1e999 into Infinity.
  if (typeof value === 'number') {
    if (Number.isFinite(value)) return value;
    throw new StateError(`${where} is not a finite number`);
  }
  if (Array.isArray(value))
    return value.map((item, index) => fromJson(item, `${where}[${index}]`, depth + 1));
  const entries = Object.entries(value as object);
  const [first] = entries;
  if (entries.length === 1 && first![0] === INT) return bigintOf(first![1], where);
  if (entries.length === 1 && first![0] === BYTES) return bytesOf(first![1], where);
  return Object.fromEntries(
    entries.map(([key, item]) => {
      checkKey(key, where);
      return [key, fromJson(item, `${where}.${key}`, depth + 1)];
    }),
  );
}

/** Keys with a dollar sign are reserved for the codec; `__proto__` is special to JavaScript that copies an object. */
function checkKey(key: string, where: string): void {
  if (key.startsWith('$') || key === '__proto__')
    throw new StateError(`${where} has a key ${JSON.stringify(key)}`);
}

function hexOf(value: bigint, where: string): string {
  const text = value.toString(16);
  if (text.length > MAX_DIGITS) throw new StateError(`${where} is too large`);
  return text;
}

function bigintOf(text: unknown, where: string): bigint {
  const [, sign, digits] = /^(-?)([0-9a-f]{1,64})$/.exec(typeof text === 'string' ? text : '') ?? [];
  if (digits === undefined) throw new StateError(`${where} is not an integer`);
  const value = BigInt(`0x${digits}`);
  return sign === '-' ? -value : value;
}

function bytesOf(text: unknown, where: string): Uint8Array {
  if (typeof text === 'string') {
    const bytes = Buffer.from(text, 'base64');
    // Buffer skips characters that are not base64.
    if (bytes.toString('base64') === text) return new Uint8Array(bytes);
  }
  throw new StateError(`${where} is not base64`);
}
