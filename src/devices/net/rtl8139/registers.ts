/**
 * Registers of the RTL8139C+ (data sheet 1.6, section 6, in its order). A register that the two modes use differently
 * has a name for each.
 */

export const REG = {
  idr: 0x00,
  mar: 0x08,
  /** TSD0-3; in C+ mode DTCCR. */
  tsd: 0x10,
  dtccr: 0x10,
  /** TSAD0-3; in C+ mode TNPDS and THPDS. */
  tsad: 0x20,
  tnpds: 0x20,
  thpds: 0x28,
  rbstart: 0x30,
  erbcr: 0x34,
  ersr: 0x36,
  cr: 0x37,
  capr: 0x38,
  cbr: 0x3a,
  imr: 0x3c,
  isr: 0x3e,
  tcr: 0x40,
  rcr: 0x44,
  tctr: 0x48,
  mpc: 0x4c,
  cr9346: 0x50,
  config0: 0x51,
  config1: 0x52,
  timerInt: 0x54,
  msr: 0x58,
  config3: 0x59,
  config4: 0x5a,
  mulint: 0x5c,
  rerid: 0x5e,
  tsadStatus: 0x60,
  bmcr: 0x62,
  bmsr: 0x64,
  anar: 0x66,
  anlpar: 0x68,
  aner: 0x6a,
  nwaytr: 0x70,
  cscr: 0x74,
  phy1: 0x78,
  phy2: 0x7c,
  twister: 0x80,
  wakeUp: 0x84,
  config5: 0xd8,
  tppoll: 0xd9,
  cpcr: 0xe0,
  rdsar: 0xe4,
  etthr: 0xec,
} as const;

/** Its IDs on PCI. */
export const REALTEK = 0x10ec;
export const RTL8139 = 0x8139;

/** The number of ports, and of bytes of memory, of its registers. */
export const REGISTERS = 256;
/** Registers of C+ mode that share offsets with others are stored this much higher. */
export const CPLUS_BANK = 0x100;
export const CPLUS_BANKED = { start: REG.tsd, end: REG.rbstart } as const;

/** Command register (section 6.6). */
export const CR = { bufferEmpty: 0x01, transmit: 0x04, receive: 0x08, reset: 0x10 } as const;

/** Interrupt status and mask registers (sections 6.7, 6.8). */
export const ISR = {
  receiveOk: 0x0001,
  receiveError: 0x0002,
  transmitOk: 0x0004,
  transmitError: 0x0008,
  /** The buffer has overflowed; in C+ mode, there is no free descriptor. */
  receiveOverflow: 0x0010,
  linkChange: 0x0020,
  fifoOverflow: 0x0040,
  transmitUnavailable: 0x0080,
  software: 0x0100,
  lengthChange: 0x2000,
  timeout: 0x4000,
  systemError: 0x8000,
} as const;
export const ISR_BITS = 0xe1ff;

/** Transmit status of a descriptor (section 6.3). */
export const TSD = {
  size: 0x0000_1fff,
  own: 0x0000_2000,
  ok: 0x0000_8000,
  aborted: 0x4000_0000,
  writable: 0x003f_3fff,
} as const;
export const TSD_COUNT = 4;

/** Transmit configuration (section 6.9). The version is that of an RTL8139C+. */
export const TCR = { loopback: 0x0006_0000, version: 0x7480_0000, writable: 0x0307_07f1 } as const;
export const LOOPBACK = 0x0006_0000;

/** Receive configuration (section 6.10). */
export const RCR = {
  allPhysical: 0x01,
  physicalMatch: 0x02,
  multicast: 0x04,
  broadcast: 0x08,
  wrap: 0x80,
  length: 0x1800,
  writable: 0x0f03_ffff,
} as const;

/** 93C46 command register (section 6.11): its mode, and the pins of the EEPROM. */
export const CR9346 = { mode: 0xc0, select: 0x08, clock: 0x04, input: 0x02, output: 0x01 } as const;
export const MODE = { normal: 0x00, autoload: 0x40, program: 0x80, configure: 0xc0 } as const;

/** CONFIG1 (section 6.13): power management, and that the registers are mapped to ports and to memory. */
export const CONFIG1 = { power: 0x01, memoryMapped: 0x04, portMapped: 0x08 } as const;

/** The wake events: bits of CONFIG3 and of CONFIG5. */
export const CONFIG3 = { magic: 0x20, linkUp: 0x10 } as const;
export const CONFIG5 = { broadcast: 0x40, multicast: 0x20, unicast: 0x10 } as const;

/** Media status (section 6.14). */
export const MSR = { linkFailed: 0x04, speed10: 0x08, writable: 0xc0 } as const;

/** Transmit status of all descriptors (section 6.20): one bit for each in four groups. */
export const TSAD_STATUS = { own: 0, abort: 4, underrun: 8, ok: 12 } as const;

/** Transmit priority polling (section 6.32). */
export const TPPOLL = { high: 0x80, normal: 0x40, software: 0x01 } as const;

/** C+ command register (section 6.33). */
export const CPCR = {
  transmit: 0x01,
  receive: 0x02,
  multipleRead: 0x08,
  dualAddress: 0x10,
  receiveChecksum: 0x20,
  vlan: 0x40,
  writable: 0x7b,
} as const;

/** Dump tally counters command (section 6.1). */
export const DTCCR = { command: 0x08, addressLow: 0xffff_ffc0 } as const;

/**
 * What the driver can change: the offset, the number of bytes, the bits. Others are read-only, or handled by an action.
 */
export const WRITABLE: readonly (readonly [offset: number, bytes: number, bits: number])[] = [
  [REG.idr, 4, 0xffff_ffff],
  [REG.idr + 4, 2, 0xffff],
  [REG.mar, 4, 0xffff_ffff],
  [REG.mar + 4, 4, 0xffff_ffff],
  ...[0, 1, 2, 3].map(index => [REG.tsd + 4 * index, 4, TSD.writable] as const),
  ...[0, 1, 2, 3].map(index => [REG.tsad + 4 * index, 4, 0xffff_ffff] as const),
  [CPLUS_BANK + REG.dtccr, 4, DTCCR.addressLow],
  [CPLUS_BANK + REG.dtccr + 4, 4, 0xffff_ffff],
  ...[0, 2].map(index => [CPLUS_BANK + REG.tnpds + 4 * index, 4, 0xffff_ff00] as const),
  ...[1, 3].map(index => [CPLUS_BANK + REG.tnpds + 4 * index, 4, 0xffff_ffff] as const),
  [REG.rbstart, 4, 0xffff_ffff],
  [REG.cr, 1, CR.transmit | CR.receive],
  [REG.capr, 2, 0xffff],
  [REG.imr, 2, ISR_BITS],
  [REG.tcr, 4, TCR.writable],
  [REG.rcr, 4, RCR.writable],
  [REG.cr9346, 1, 0xce],
  [REG.timerInt, 4, 0xffff_ffff],
  [REG.msr, 1, MSR.writable],
  [REG.mulint, 2, 0x0fff],
  [REG.nwaytr, 2, 0x00ff],
  [REG.cscr, 2, 0xffff],
  [REG.phy1, 4, 0xffff_ffff],
  [REG.phy2, 4, 0xffff_ffff],
  [REG.twister, 1, 0xff],
  ...Array.from({ length: 20 }, (_, index) => [REG.wakeUp + 4 * index, 4, 0xffff_ffff] as const),
  [REG.cpcr, 2, CPCR.writable],
  [REG.rdsar, 4, 0xffff_ff00],
  [REG.rdsar + 4, 4, 0xffff_ffff],
  [REG.etthr, 1, 0x3f],
];

/** The registers that can be changed only while CR9346 permits it (section 6.11). */
export const LOCKED: readonly (readonly [offset: number, bytes: number, bits: number])[] = [
  [REG.config0, 1, 0x00],
  [REG.config1, 1, 0xf3],
  [REG.config3, 1, 0x7d],
  [REG.config4, 1, 0xff],
  [REG.config5, 1, 0x7f],
];
