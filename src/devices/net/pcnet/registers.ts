/**
 * Registers of AMD's PCnet controllers (Am79C973 data sheet, "User Accessible Registers"; those of the Am79C970A are
 * the same).
 */

/** The offsets of the registers: for 16-bit (WIO) and for 32-bit accesses (DWIO). */
export const WIO = { rdp: 0x10, rap: 0x12, reset: 0x14, bdp: 0x16 } as const;
export const DWIO = { rdp: 0x10, rap: 0x14, reset: 0x18, bdp: 0x1c } as const;
export const PORTS = 32;
/** The address PROM, which precedes them. */
export const APROM_BYTES = 16;

export const CSRS = 128;
export const BCRS = 64;

/** Control and status registers. Addresses have their low half first. */
export const CSR = {
  status: 0,
  initBlock: 1,
  masks: 3,
  features: 4,
  extended: 5,
  ringLengths: 6,
  hash: 8,
  address: 12,
  mode: 15,
  initBlockAlias: 16,
  receiveBase: 24,
  receiveCurrent: 28,
  transmitBase: 30,
  transmitCurrent: 34,
  pollInterval: 47,
  style: 58,
  receiveCounter: 72,
  transmitCounter: 74,
  receiveLength: 76,
  transmitLength: 78,
  fifo: 80,
  chipId: 88,
  missed: 112,
} as const;

/** CSR0. */
export const STATUS = {
  init: 0x0001,
  start: 0x0002,
  stop: 0x0004,
  demand: 0x0008,
  transmitting: 0x0010,
  receiving: 0x0020,
  enable: 0x0040,
  interrupt: 0x0080,
  initDone: 0x0100,
  transmitted: 0x0200,
  received: 0x0400,
  memoryError: 0x0800,
  missed: 0x1000,
  collision: 0x2000,
  babble: 0x4000,
  error: 0x8000,
} as const;
/** The bits that the driver clears by writing ones. */
export const STATUS_CLEARABLE = 0x7f00;
/** The causes of interrupts unless masked in CSR3; the error bit summarizes others. */
export const STATUS_CAUSES = 0x5f00;
export const STATUS_ERRORS = 0x7800;
/** The bits in a saved state: the others are derived. */
export const STATUS_SAVED = 0x7f7f;

/** CSR3. */
export const MASKS_WRITABLE = 0x5f7c;

/** CSR4: a cause and, below it, its mask. */
export const FEATURES = {
  transmitStart: 0x0008,
  user: 0x0040,
  userCommand: 0x0080,
  missedOverflow: 0x0200,
  stripPadding: 0x0400,
  padTransmit: 0x0800,
  noPolling: 0x1000,
  clearable: 0x026a,
  writable: 0xfd15,
  /** The bits below those of `clearable` that mask them: all but the user interrupt's. */
  masked: 0x022a,
  powerOn: 0x0115,
} as const;

/** CSR5. */
export const EXTENDED = {
  suspend: 0x0001,
  lastTransmitOnly: 0x4000,
  noTransmitInterrupt: 0x8000,
  clearable: 0x0a98,
  writable: 0xc545,
} as const;

/** CSR15. */
export const MODE = {
  noReceive: 0x0001,
  noTransmit: 0x0002,
  loopback: 0x0004,
  noPhysical: 0x2000,
  noBroadcast: 0x4000,
  promiscuous: 0x8000,
} as const;

/** Bus configuration registers. */
export const BCR = {
  led0: 4,
  led3: 7,
  burst: 18,
  eeprom: 19,
  style: 20,
  miiControl: 32,
  miiAddress: 33,
  miiData: 34,
  vendor: 35,
} as const;

/** BCR18: registers are accessed as 32 bits. */
export const BURST_DWIO = 0x0080;
/** BCR4 to BCR7: the link states that light the LED, and whether it is lit. */
export const LED = { lit: 0x8000, link: 0x0040 } as const;
/** BCR20. */
export const STYLE = { style: 0x00ff, size32: 0x0100, pcnet: 0x0200 } as const;

/** The values of the BCRs at power-on; others are 0. */
export const BCR_POWER_ON: Readonly<Record<number, number>> = {
  0: 0x0005,
  1: 0x0005,
  2: 0x0002,
  4: 0x00c0,
  5: 0x0084,
  6: 0x0088,
  7: 0x0090,
  18: 0x9001,
  19: 0x0002,
  20: 0x0200,
  22: 0xff06,
  23: 0x1022,
  24: 0x2000,
  32: 0x0400,
  35: 0x1022,
};
/** The bits of BCRs that the driver can change. Style and PHY have their own rules. */
export const BCR_WRITABLE: Readonly<Record<number, number>> = {
  2: 0x7f0f,
  4: 0x73ff,
  5: 0x73ff,
  6: 0x73ff,
  7: 0x73ff,
  9: 0x0007,
  18: 0xffe0,
  22: 0xffff,
  25: 0x00ff,
  26: 0x00ff,
  27: 0xe000,
  28: 0xffff,
  29: 0xffff,
  31: 0xffff,
  32: 0x3ffc,
  33: 0x03ff,
};
