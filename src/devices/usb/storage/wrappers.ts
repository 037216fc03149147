/** Command and status wrappers (USB Mass Storage, Bulk-Only Transport 1.0 §5). */

/** Signature, size and offsets. */
const CBW = {
  ...{ signature: 0x4342_5355, bytes: 31, tag: 4, length: 8, flags: 12, lun: 13, size: 14, command: 15 },
} as const;
const CSW = { signature: 0x5342_5355, bytes: 13, tag: 4, residue: 8, status: 12 } as const;
export const COMMAND_WRAPPER_BYTES = CBW.bytes;

export const STATUS = { passed: 0, failed: 1, phaseError: 2 } as const;

/** The size of the longest command. */
const COMMAND_BYTES = 16;
const TO_HOST = 0x80;

export type CommandWrapper = {
  readonly tag: number;
  /** Bytes of data that the host expects to be transferred. */
  readonly length: number;
  readonly toHost: boolean;
  /** 16 bytes, padded with zeros. */
  readonly command: Uint8Array;
};

/** A wrapper for logical unit 0; null if it is not valid and meaningful (§6.2). */
export function parseCommandWrapper(bytes: Uint8Array): CommandWrapper | null {
  if (bytes.length !== CBW.bytes) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const size = view.getUint8(CBW.size);
  const isValid = view.getUint32(0, true) === CBW.signature && view.getUint8(CBW.lun) === 0;
  if (!isValid || size < 1 || size > COMMAND_BYTES) return null;
  const command = new Uint8Array(COMMAND_BYTES);
  command.set(bytes.subarray(CBW.command, CBW.command + size));
  return {
    tag: view.getUint32(CBW.tag, true),
    length: view.getUint32(CBW.length, true),
    toHost: (view.getUint8(CBW.flags) & TO_HOST) !== 0,
    command,
  };
}

/** @param residue bytes of the data that were not meaningful */
export function statusWrapper(tag: number, residue: number, status: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(CSW.bytes));
  view.setUint32(0, CSW.signature, true);
  view.setUint32(CSW.tag, tag, true);
  view.setUint32(CSW.residue, residue, true);
  view.setUint8(CSW.status, status);
  return new Uint8Array(view.buffer);
}
