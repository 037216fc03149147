/**
 * Registers and structures of the 82557, 82559 and 82551 (Intel 8255x 10/100 Mbps Ethernet Controller Family Open
 * Source Software Developer Manual, revision 1.3, §6), by their names there.
 */

/** Bytes of the control/status registers (CSR, §6.3). */
export const CSR_BYTES = 64;

export const CSR = {
  scbStatus: 0x00,
  statAck: 0x01,
  scbCommand: 0x02,
  interruptMask: 0x03,
  scbPointer: 0x04,
  port: 0x08,
  eepromControl: 0x0e,
  mdiControl: 0x10,
  pmdr: 0x1b,
  generalControl: 0x1c,
  generalStatus: 0x1d,
} as const;

/** Causes of interrupts, in STAT/ACK. */
export const STAT = { cx: 0x80, fr: 0x40, cna: 0x20, rnr: 0x10, mdi: 0x08, swi: 0x04 } as const;
/** The interrupt mask: all, and a request for an interrupt by software; bits 7 to 4 are those of STAT/ACK. */
export const MASK = { all: 0x01, softwareInterrupt: 0x02, single: 0xf0 } as const;

/** Power management driver register: the wake events and PME status, each cleared by a one. */
export const PMDR = { link: 0x80, magic: 0x40, frame: 0x20, event: 0x01, causes: 0xe0 } as const;

/** States of the command unit and of the receive unit, in the SCB status byte. */
export const CU = { idle: 0, suspended: 1, active: 2 } as const;
export const RU = { idle: 0, suspended: 1, noResources: 2, ready: 4 } as const;

/** Commands for each, in the SCB command byte. */
export const CU_COMMAND = {
  start: 1,
  resume: 2,
  loadDumpAddress: 4,
  dumpStatistics: 5,
  loadBase: 6,
  dumpAndResetStatistics: 7,
  staticResume: 10,
} as const;
export const RU_COMMAND = { start: 1, resume: 2, abort: 4, loadBase: 6 } as const;

/** PORT functions, in the lowest four bits. */
export const PORT = { reset: 0, selfTest: 1, selectiveReset: 2, dump: 3 } as const;

export const EEPROM_PIN = { sk: 1 << 0, cs: 1 << 1, di: 1 << 2, do: 1 << 3 } as const;

export const MDI = {
  registerShift: 16,
  phyShift: 21,
  operationShift: 26,
  write: 1,
  read: 2,
  ready: 1 << 28,
  interrupt: 1 << 29,
} as const;

/** Offsets in an action command block, and in a receive frame descriptor (§6.4). */
export const BLOCK = { status: 0, command: 2, link: 4, data: 8 } as const;
export const TCB = { tbdArray: 8, count: 12, data: 16 } as const;
export const RFD = { actualCount: 12, data: 16 } as const;

export const ACTION = {
  nop: 0,
  individualAddress: 1,
  configure: 2,
  multicast: 3,
  transmit: 4,
  loadMicrocode: 5,
  dump: 6,
  diagnose: 7,
} as const;

/** In both: the last one, suspend after it, and interrupt after an action. */
export const COMMAND = { endOfList: 0x8000, suspend: 0x4000, interrupt: 0x2000, type: 0x7 } as const;
/** SF: the data of a transmit command is in buffers. */
export const FLEXIBLE = 0x0008;
export const COMPLETE = 0x8000;
export const OK = 0x2000;
/**
 * The status of a received frame: too long for its descriptor, with a type rather than a length, and not for the card's
 * own address.
 */
export const RFD_STATUS = { outOfSpace: 0x0200, isType: 0x0020, notOwn: 0x0002 } as const;

/** The configuration (§6.4.2.3): the bytes that matter, and their bits. */
export const CONFIG_BYTES = 22;
export const CONFIG = {
  options: 6,
  fixedWake: 9,
  loopback: 10,
  filter: 15,
  frames: 18,
  wake: 19,
  multicast: 21,
} as const;
export const OPTIONS = {
  tcoStatistics: 0x04,
  ciInterrupt: 0x08,
  standardTcb: 0x10,
  standardStatistics: 0x20,
} as const;
/** The wake events, in two bytes (§A.4). */
export const FIXED_WAKE = { link: 0x20, group: 0x80 } as const;
export const WAKE = { address: 0x01, noMagic: 0x02 } as const;
export const LOOPBACK = 0xc0;
export const FILTER = { promiscuous: 0x01, noBroadcast: 0x02 } as const;
export const FRAMES = { padding: 0x02, transferCheck: 0x04, long: 0x08 } as const;
export const ALL_MULTICAST = 0x08;

/** The configuration after a reset. */
export const DEFAULT_CONFIG = Uint8Array.of(
  ...[0x16, 0x08, 0x00, 0x00, 0x00, 0x00, 0x32, 0x03, 0x01, 0x00, 0x2e],
  ...[0x00, 0x60, 0x00, 0xf2, 0xc8, 0x00, 0x40, 0xf2, 0x80, 0x3f, 0x05],
);

/** Statistics counters (§6.3.2.2), in the order in which they are dumped. */
export const COUNTER = { transmitGood: 0, receiveGood: 9, receiveResource: 12, receiveShort: 15 } as const;
export const COUNTERS = 20;
