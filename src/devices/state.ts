import type { DeviceState, StateValue } from './device.ts';

/** A saved state that this device cannot load: it lacks a value, has an invalid one, or belongs to another device. */
export class DeviceStateError extends Error {
  override readonly name = 'DeviceStateError';

  /** @param expected what is missing under `key`; without it, `key` is the whole message */
  constructor(key: string, expected?: string) {
    super(
      expected === undefined
        ? key
        : `saved device state has no ${expected} "${key}"; it was saved by another version or is damaged`,
    );
  }
}

/** @throws DeviceStateError */
export function numberOf(state: DeviceState, key: string, max = Number.MAX_SAFE_INTEGER): number {
  const value = state[key];
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= max) return value;
  throw new DeviceStateError(key, `number of at most ${max}`);
}

/** @throws DeviceStateError */
export function booleanOf(state: DeviceState, key: string): boolean {
  const value = state[key];
  if (typeof value === 'boolean') return value;
  throw new DeviceStateError(key, 'true or false');
}

/** @throws DeviceStateError */
export function bytesOf(state: DeviceState, key: string): Uint8Array {
  const value = state[key];
  if (value instanceof Uint8Array) return value;
  throw new DeviceStateError(key, 'bytes');
}

/** @throws DeviceStateError */
export function stateOf(state: DeviceState, key: string): DeviceState {
  const value = state[key];
  if (isState(value)) return value;
  throw new DeviceStateError(key, 'state');
}

/** @throws DeviceStateError if there are not exactly `length` states */
export function statesOf(state: DeviceState, key: string, length: number): DeviceState[] {
  const value = state[key];
  // Copied: a list may have holes, which `every` would skip.
  const list = Array.isArray(value) ? [...value] : [];
  if (list.length === length && list.every(isState)) return list;
  throw new DeviceStateError(key, `list of ${length} states`);
}

function isState(value: StateValue | undefined): value is DeviceState {
  return (
    typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array)
  );
}
