import type { DeviceState, StateValue } from './device.ts';

/** A saved state that lacks a value or has one of the wrong type: this model didn't save it. */
export class DeviceStateError extends Error {
  override readonly name = 'DeviceStateError';

  constructor(key: string, expected: string) {
    super(`saved device state has no ${expected} "${key}"; it was saved by another version or is damaged`);
  }
}

/** @throws DeviceStateError */
export function numberOf(state: DeviceState, key: string, max = Number.MAX_SAFE_INTEGER): number {
  const value = state[key];
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= max) return value;
  throw new DeviceStateError(key, `number of at most ${max}`);
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

/** @throws DeviceStateError when there are not exactly `length` states. */
export function statesOf(state: DeviceState, key: string, length: number): DeviceState[] {
  const value = state[key];
  if (Array.isArray(value) && value.length === length && value.every(isState)) return value;
  throw new DeviceStateError(key, `list of ${length} states`);
}

function isState(value: StateValue | undefined): value is DeviceState {
  return (
    typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array)
  );
}
