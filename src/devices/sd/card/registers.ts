/** Registers of an SD memory card (SD Physical Layer Simplified Specification 6.00 §4.10, §5). */

export const SECTOR = 512;

/** Standard capacity ends at 2 GiB; a larger card addresses blocks instead of bytes. */
export const MAX_STANDARD = 2 ** 31;
/** The unit of C_SIZE in the second structure, and its maximum. */
export const HIGH_CAPACITY_UNIT = 2 ** 19;
export const MAX_CAPACITY = 2 ** 41;

/** The states (§4.1). No status reports `inactive`. */
export const STATE = {
  ...{ idle: 0, ready: 1, ident: 2, standby: 3, transfer: 4, data: 5, receive: 6, program: 7, disconnect: 8 },
  inactive: 15,
} as const;
export type CardState = (typeof STATE)[keyof typeof STATE];

/** Card status (§4.10.1). */
export const STATUS = {
  outOfRange: 0x8000_0000,
  addressError: 0x4000_0000,
  blockLengthError: 0x2000_0000,
  eraseSequenceError: 0x1000_0000,
  eraseParameter: 0x0800_0000,
  writeProtectViolation: 0x0400_0000,
  illegalCommand: 0x0040_0000,
  eccFailed: 0x0020_0000,
  error: 0x0008_0000,
  stateShift: 9,
  readyForData: 0x100,
  applicationCommand: 0x20,
} as const;

export const COMMAND = {
  ...{ goIdle: 0, allSendCid: 2, sendRelativeAddress: 3, switchFunction: 6, select: 7, sendInterface: 8 },
  ...{ sendCsd: 9, sendCid: 10, stop: 12, sendStatus: 13, goInactive: 15, setBlockLength: 16 },
  ...{ readSingle: 17, readMultiple: 18, setBlockCount: 23, writeSingle: 24, writeMultiple: 25 },
  ...{ eraseStart: 32, eraseEnd: 33, erase: 38, application: 55 },
} as const;
/** Commands that follow `application`. */
export const APPLICATION = {
  ...{ setBusWidth: 6, sdStatus: 13, writtenBlocks: 22, eraseCount: 23, operatingConditions: 41 },
  ...{ cardDetect: 42, sendScr: 51 },
} as const;

/** Operating conditions (§5.1): 2.7 V to 3.6 V. */
export const OCR = { voltages: 0x00ff_8000, highCapacity: 0x4000_0000, ready: 0x8000_0000 } as const;
/** In the host's argument to SEND_OP_COND. */
export const HOST_HIGH_CAPACITY = 0x4000_0000;
export const VOLTAGE_WINDOW = 0x00ff_ffff;

/** The kinds of erase: whether the erased blocks read as zeros (§4.3.5). */
export const ERASE = { erase: 0, discard: 1 } as const;

/** Classes 0, 2, 4, 5, 8 and 10: basic, block read, block write, erase, application, switch. */
const COMMAND_CLASSES = 0x535;
const SPEED_25_MHZ = 0x32;
const SPEED_50_MHZ = 0x5a;

/** A register of up to 512 bits, most significant first, as a card sends it. */
class Bits {
  readonly bytes: Uint8Array;

  constructor(bits: number) {
    this.bytes = new Uint8Array(bits / 8);
  }

  /** Sets bits `high` to `low`. */
  set(high: number, low: number, value: number): this {
    for (let bit = low; bit <= high; bit++) {
      if (Math.floor(value / 2 ** (bit - low)) % 2 === 0) continue;
      const at = this.bytes.length - 1 - (bit >>> 3);
      this.bytes[at] = this.bytes[at]! | (1 << (bit & 7));
    }
    return this;
  }
}

/** The size encoding of a standard capacity card: `units` of `2 ** shift` bytes (§5.3.2). Null if the size has none. */
function standardSize(bytes: number): { units: number; multiplier: number; blockShift: number } | null {
  for (let shift = 11; shift <= 19; shift++) {
    const units = bytes / 2 ** shift;
    if (units > 4096) continue;
    if (!Number.isInteger(units) || units === 0) return null;
    // Blocks have 512 bytes if the multiplier suffices.
    const blockShift = Math.max(9, shift - 9);
    return { units, multiplier: shift - blockShift - 2, blockShift };
  }
  return null;
}

/** The unit that the size of a card of about this size must be a multiple of, in bytes. */
export function sizeUnit(bytes: number): number {
  if (bytes > MAX_STANDARD) return HIGH_CAPACITY_UNIT;
  let unit = 2 ** 11;
  while (bytes / unit > 4096) unit *= 2;
  return unit;
}

/** The part of a disk that a card can use. */
export function capacityOf(bytes: number): number {
  return Math.floor(Math.min(bytes, MAX_CAPACITY) / sizeUnit(bytes)) * sizeUnit(bytes);
}

/** Card-specific data (§5.3), of which a host gets all but the last byte. */
export function cardSpecificData(bytes: number, isReadOnly: boolean, isHighSpeed: boolean): Uint8Array {
  const csd = new Bits(128)
    .set(103, 96, isHighSpeed ? SPEED_50_MHZ : SPEED_25_MHZ)
    .set(95, 84, COMMAND_CLASSES)
    // Single blocks can be erased.
    .set(46, 46, 1)
    .set(45, 39, 0x7f)
    .set(28, 26, 2)
    .set(13, 13, isReadOnly ? 1 : 0);
  const standard = bytes > MAX_STANDARD ? null : standardSize(bytes);
  if (standard === null) {
    csd.set(127, 126, 1).set(119, 112, 0x0e).set(83, 80, 9).set(25, 22, 9);
    csd.set(69, 48, Math.floor(bytes / HIGH_CAPACITY_UNIT) - 1);
  } else {
    const { units, multiplier, blockShift } = standard;
    csd.set(119, 112, 0x26).set(83, 80, blockShift).set(25, 22, blockShift).set(79, 79, 1);
    csd.set(73, 62, units - 1).set(49, 47, multiplier);
  }
  return csd.bytes.subarray(0, 15);
}

export type CardIdentity = {
  /** 2 and 5 characters. */
  readonly maker: string;
  readonly product: string;
  /** 32 bits. */
  readonly serial: number;
};

/** Card identification (§5.2), of which a host gets all but the last byte. */
export function cardIdentification({ maker, product, serial }: CardIdentity): Uint8Array {
  const MAKER_ID = 0xaa;
  const REVISION_1_0 = 0x10;
  const JANUARY_2025 = (25 << 4) | 1;
  const cid = new Bits(128).set(127, 120, MAKER_ID).set(63, 56, REVISION_1_0).set(55, 24, serial);
  cid.set(19, 8, JANUARY_2025);
  for (const [at, character] of [...`${maker}${product}`].entries())
    cid.bytes[1 + at] = character.charCodeAt(0);
  return cid.bytes.subarray(0, 15);
}

/** SD configuration (§5.6): version 5.0, erased data reads as zeros, one or four data lines, SET_BLOCK_COUNT. */
export function configuration(): Uint8Array {
  return new Bits(64)
    .set(59, 56, 2)
    .set(51, 48, 0b0101)
    .set(47, 47, 1)
    .set(42, 42, 1)
    .set(41, 38, 1)
    .set(33, 33, 1).bytes;
}

/** SD status (§4.10.2). */
export function sdStatus(isWide: boolean, canDiscard: boolean): Uint8Array {
  const CLASS_10 = 4;
  const UNIT_4_MIB = 9;
  return new Bits(512)
    .set(511, 510, isWide ? 2 : 0)
    .set(447, 440, CLASS_10)
    .set(431, 428, UNIT_4_MIB)
    .set(313, 313, canDiscard ? 1 : 0).bytes;
}

/**
 * The result of SWITCH_FUNC for its argument (§4.3.10). Of six function groups the first has two functions: default and
 * high speed.
 */
export function switchFunctions(
  argument: number,
  isHighSpeed: boolean,
): { readonly status: Uint8Array; readonly isHighSpeed: boolean } {
  const GROUPS = 6;
  const SAME = 0xf;
  const MILLIAMPERES = 200;
  const asked = Array.from({ length: GROUPS }, (_, group) => (argument >>> (4 * group)) & 0xf);
  const results = asked.map((wanted, group) => {
    const now = group === 0 && isHighSpeed ? 1 : 0;
    if (wanted === SAME) return now;
    return wanted <= (group === 0 ? 1 : 0) ? wanted : SAME;
  });
  const isPossible = !results.includes(SAME);
  const status = new Bits(512).set(511, 496, isPossible ? MILLIAMPERES : 0);
  results.forEach((result, group) => {
    status.set(415 + 16 * group, 400 + 16 * group, group === 0 ? 0x8003 : 0x8001);
    status.set(379 + 4 * group, 376 + 4 * group, result);
  });
  const isSwitched = argument >= 2 ** 31 && isPossible;
  return { status: status.bytes, isHighSpeed: isSwitched ? results[0] === 1 : isHighSpeed };
}
