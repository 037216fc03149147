/** Status of a command: the status code type in bits 10-8, the status code in bits 7-0 (NVMe base 1.4 §4.6.1). */
export const STATUS = {
  success: 0x000,
  invalidOpcode: 0x001,
  invalidField: 0x002,
  dataTransferError: 0x004,
  internalError: 0x006,
  invalidNamespace: 0x00b,
  commandSequenceError: 0x00c,
  invalidPrpOffset: 0x013,
  writeProtected: 0x020,
  lbaOutOfRange: 0x080,
  invalidCompletionQueue: 0x100,
  invalidQueueIdentifier: 0x101,
  invalidQueueSize: 0x102,
  tooManyEventRequests: 0x105,
  invalidInterruptVector: 0x108,
  invalidLogPage: 0x109,
  invalidQueueDeletion: 0x10c,
  featureNotSaveable: 0x10d,
  featureNotChangeable: 0x10e,
  writeFault: 0x280,
  unrecoveredRead: 0x281,
} as const;

/** Ends a command. @param result dword 0 of the completion */
export type Complete = (status: number, result?: number) => void;

/** The repetition of a failed command would fail as well. */
const DO_NOT_RETRY = 0x4000;

/** The status field of a completion, without the phase. */
export function statusField(status: number): number {
  return status === STATUS.success ? 0 : status | DO_NOT_RETRY;
}
