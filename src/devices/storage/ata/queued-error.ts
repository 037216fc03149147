import type { DeviceState } from '../../device.ts';
import { numberOf } from '../../state.ts';
import type { ResultRegisters } from './ata-drive.ts';
import { SECTOR } from './registers.ts';
import { withChecksum } from './smart.ts';

/** A failed queued command, for the log (ACS-3 §9.14). */
export type QueuedError = { readonly tag: number; readonly result: ResultRegisters };

/** The queued command error log (10h), page 0. @param failed null if no queued command has failed */
export function queuedErrorLog(failed: QueuedError | null): Uint8Array {
  const NOT_QUEUED = 0x80;
  const data = new Uint8Array(SECTOR);
  data[0] = NOT_QUEUED;
  if (failed !== null) data.set(errorLog(failed));
  return withChecksum(data);
}

/** The tag, and the registers as in a register frame. */
function errorLog({ tag, result }: QueuedError): Uint8Array {
  const { status, error, lba, device, count } = result;
  const byte = (index: number) => Math.floor(lba / 2 ** (8 * index)) & 0xff;
  return Uint8Array.from([
    ...[tag, 0, status, error, byte(0), byte(1), byte(2), device],
    ...[byte(3), byte(4), byte(5), 0, count & 0xff, count >> 8],
  ]);
}

export function saveQueuedError({ tag, result }: QueuedError): DeviceState {
  return { tag, ...result };
}

/** @throws DeviceStateError */
export function loadQueuedError(state: DeviceState): QueuedError {
  const result = {
    status: numberOf(state, 'status', 0xff),
    error: numberOf(state, 'error', 0xff),
    count: numberOf(state, 'count', 0xffff),
    lba: numberOf(state, 'lba', 2 ** 48 - 1),
    device: numberOf(state, 'device', 0xff),
  };
  return { tag: numberOf(state, 'tag', 31), result };
}
