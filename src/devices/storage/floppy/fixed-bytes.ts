import type { DeviceState } from '../../device.ts';
import { bytesOf, DeviceStateError } from '../../state.ts';

/** A copy of exactly `length` bytes of a state. @throws DeviceStateError */
export function fixedBytesOf(state: DeviceState, key: string, length: number): Uint8Array<ArrayBuffer> {
  const bytes = bytesOf(state, key);
  if (bytes.length !== length) throw new DeviceStateError(key, `${length} bytes`);
  return Uint8Array.from(bytes);
}
