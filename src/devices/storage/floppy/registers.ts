/**
 * Registers and commands of Intel's 82077AA floppy disk controller, and of its successor, the 82078. Sections are those
 * of the 82077AA data sheet.
 */

/** Offsets from the first port (§2.1). The gaps are unmapped on a PC-AT. */
export const REG = {
  digitalOutput: 2,
  tapeDrive: 3,
  /** Read: main status; write: data rate select. */
  mainStatus: 4,
  fifo: 5,
  /** Read: digital input; write: configuration control. */
  digitalInput: 7,
} as const;

/** Digital output register (§2.1.3). */
export const DOR = { drive: 0x03, notReset: 0x04, dmaGate: 0x08 } as const;

/** Main status register (§2.1.5). The low four bits: drives that are seeking. */
export const MSR = { commandBusy: 0x10, nonDma: 0x20, toHost: 0x40, ready: 0x80 } as const;

/** Data rate select register (§2.1.6). */
export const DSR = { rate: 0x03, reset: 0x80 } as const;

/** Digital input register (§2.1.7). */
export const DIR_DISK_CHANGED = 0x80;

/** Status register 0 (§3.2.1). */
export const ST0 = {
  abnormal: 0x40,
  invalid: 0x80,
  /** The drive's ready line has changed: after a reset. */
  polled: 0xc0,
  seekEnd: 0x20,
  equipmentCheck: 0x10,
  head: 0x04,
} as const;

/** Status register 1 (§3.2.2). */
export const ST1 = {
  missingAddressMark: 0x01,
  notWritable: 0x02,
  noData: 0x04,
  dataError: 0x20,
  endOfCylinder: 0x80,
} as const;

/** Status register 2 (§3.2.3). */
export const ST2 = { dataError: 0x20, controlMark: 0x40 } as const;

/** Status register 3 (§3.2.4). */
export const ST3 = { head: 0x04, fixed: 0x28, track0: 0x10, writeProtected: 0x40 } as const;

/** Bits of the first byte of a command that transfers data (§5.1). */
export const MULTI_TRACK = 0x80;
export const SKIP = 0x20;
/** Bits of its second byte. */
export const HEAD = 0x04;
export const DRIVE = 0x03;

/** The code of 512 bytes, in the parameter N. */
export const SECTOR_CODE = 2;

export type CommandName = keyof typeof COMMANDS;

/**
 * The commands (§5.1; the 82078's from `powerdownMode` on): the first byte has `code` in the bits of `mask`, and is
 * followed by this many bytes.
 */
export const COMMANDS = {
  readTrack: { mask: 0xbf, code: 0x02, parameters: 8 },
  specify: { mask: 0xff, code: 0x03, parameters: 2 },
  senseDriveStatus: { mask: 0xff, code: 0x04, parameters: 1 },
  writeData: { mask: 0x3f, code: 0x05, parameters: 8 },
  readData: { mask: 0x1f, code: 0x06, parameters: 8 },
  recalibrate: { mask: 0xff, code: 0x07, parameters: 1 },
  senseInterruptStatus: { mask: 0xff, code: 0x08, parameters: 0 },
  writeDeletedData: { mask: 0x3f, code: 0x09, parameters: 8 },
  readId: { mask: 0xbf, code: 0x0a, parameters: 1 },
  readDeletedData: { mask: 0x1f, code: 0x0c, parameters: 8 },
  formatTrack: { mask: 0xbf, code: 0x0d, parameters: 5 },
  dumpRegisters: { mask: 0xff, code: 0x0e, parameters: 0 },
  seek: { mask: 0xff, code: 0x0f, parameters: 2 },
  relativeSeek: { mask: 0xbf, code: 0x8f, parameters: 2 },
  version: { mask: 0xff, code: 0x10, parameters: 0 },
  perpendicularMode: { mask: 0xff, code: 0x12, parameters: 1 },
  configure: { mask: 0xff, code: 0x13, parameters: 3 },
  lock: { mask: 0x7f, code: 0x14, parameters: 0 },
  verify: { mask: 0x1f, code: 0x16, parameters: 8 },
  powerdownMode: { mask: 0xff, code: 0x17, parameters: 1 },
  partId: { mask: 0xff, code: 0x18, parameters: 0 },
  option: { mask: 0xff, code: 0x33, parameters: 1 },
  /** Up to four drives; a byte with `DRIVE_SPECIFICATION.done` is the last one. */
  driveSpecification: { mask: 0xff, code: 0x8e, parameters: 5 },
} as const;

/** The last parameter of DRIVE SPECIFICATION (82078 data sheet §5.2.10). */
export const DRIVE_SPECIFICATION = { done: 0x80, noResult: 0x40 } as const;

/** The maximum number of bytes in a command, and in a result. */
export const MAX_COMMAND = 9;
export const MAX_RESULT = 10;

const ENTRIES = Object.entries(COMMANDS) as [CommandName, (typeof COMMANDS)[CommandName]][];

/** The command that begins with this byte; null if there is none. */
export function commandOf(byte: number): CommandName | null {
  return ENTRIES.find(([, { mask, code }]) => (byte & mask) === code)?.[0] ?? null;
}

/** The drives of a controller, whether present or not. */
export const DRIVES = 4;
