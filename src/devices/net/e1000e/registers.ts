import {
  one,
  REGISTER_BYTES,
  ringStored,
  ringWritable,
  CAUSE as SHARED_CAUSE,
  CTRL as SHARED_CTRL,
  RCTL as SHARED_RCTL,
  REG as SHARED_REG,
  STATUS as SHARED_STATUS,
  STORED as SHARED_STORED,
  WRITABLE as SHARED_WRITABLE,
  type Words,
  word,
  writeMasks,
} from '../gigabit/registers.ts';

/**
 * The registers of the 82574L that this model implements (Intel, 82574 GbE Controller Family Datasheet, revision 3.4,
 * §10.2), by their data sheet names. Each is the index of a 32-bit word.
 */

/** The number of receive and of transmit queues. */
export const QUEUES = 2;
/** The number of MSI-X vectors. */
export const VECTORS = 5;

/** From the registers of a queue to those of the next one. */
const NEXT_QUEUE = word(0x100);

export const REG = {
  ...SHARED_REG,
  // General
  EXTCNF_CTRL: word(0x00f00),
  POEMB: word(0x00f10),
  PBS: word(0x01008),
  EEMNGCTL: word(0x01010),
  EEWR: word(0x0102c),
  // Interrupts
  EIAC: word(0x000dc),
  IAM: word(0x000e0),
  IVAR: word(0x000e4),
  EITR: word(0x000e8),
  // Receive
  PSRCTL: word(0x02170),
  RDBAL1: SHARED_REG.RDBAL + NEXT_QUEUE,
  RDLEN1: SHARED_REG.RDLEN + NEXT_QUEUE,
  RDH1: SHARED_REG.RDH + NEXT_QUEUE,
  RDT1: SHARED_REG.RDT + NEXT_QUEUE,
  RFCTL: word(0x05008),
  MRQC: word(0x05818),
  RETA: word(0x05c00),
  RSSRK: word(0x05c80),
  // Transmit
  TARC0: word(0x03840),
  TDBAL1: SHARED_REG.TDBAL + NEXT_QUEUE,
  TDLEN1: SHARED_REG.TDLEN + NEXT_QUEUE,
  TDH1: SHARED_REG.TDH + NEXT_QUEUE,
  TDT1: SHARED_REG.TDT + NEXT_QUEUE,
  TARC1: word(0x03940),
  // Statistics
  IAC: word(0x04100),
  // Management and PCI Express
  MANC2H: word(0x05860),
  GCR: word(0x05b00),
  FUNCTAG: word(0x05b08),
  GSCL_1: word(0x05b10),
  GSCN_0: word(0x05b20),
  FACTPS: word(0x05b30),
  SWSM: word(0x05b50),
  GCR2: word(0x05b64),
  PBACLR: word(0x05b68),
  // IEEE 1588 time
  SYSTIML: word(0x0b600),
  SYSTIMH: word(0x0b604),
  TIMINCA: word(0x0b608),
} as const;

const RETA_WORDS = 32;
const RSSRK_WORDS = 10;

export const LAST_STATISTIC = word(0x04124);

export const CTRL = { ...SHARED_CTRL, GIO_MASTER_DISABLE: 1 << 2, ADVD3WUC: 1 << 20 } as const;

export const STATUS = { ...SHARED_STATUS, GIO_MASTER_ENABLE: 1 << 19 } as const;

/** An EEPROM is present, and its contents have been loaded. */
export const EECD = { REQ: 1 << 6, GNT: 1 << 7, PRES: 1 << 8, AUTO_RD: 1 << 9 } as const;

/** EERD and EEWR. */
export const EERW = { START: 1 << 0, DONE: 1 << 1, addressShift: 2, dataShift: 16 } as const;
export const EERW_ADDRESSES = 0x3fff;

export const EEMNGCTL = { CFG_DONE: 1 << 18 } as const;

/** EIAME: a message masks its causes (IAM). IAME: an access to ICR does. */
export const CTRL_EXT = { EIAME: 1 << 24, IAME: 1 << 27 } as const;
/** Bits that clear themselves. */
const CTRL_EXT_STROBES = (1 << 12) | (1 << 13);

export const CAUSE = {
  ...SHARED_CAUSE,
  ACK: 1 << 17,
  MNG: 1 << 18,
  RXQ0: 1 << 20,
  RXQ1: 1 << 21,
  TXQ0: 1 << 22,
  TXQ1: 1 << 23,
  OTHER: 1 << 24,
  INT_ASSERTED: 2 ** 31,
} as const;
/** The bits of ICR, other than INT_ASSERTED. */
export const CAUSES = 0x01ff_ffff;
/** What OTHER summarizes. */
export const OTHER_CAUSES = CAUSE.LSC | CAUSE.RXO | CAUSE.MDAC | CAUSE.SRPD | CAUSE.ACK | CAUSE.MNG;

/** A field of IVAR. */
export const IVAR = { vector: 7, VALID: 1 << 3, bits: 4, INT_ON_ALL_WB: 2 ** 31 } as const;

export const RCTL = { ...SHARED_RCTL, DTYP_SPLIT: 1 << 10, flexShift: 27 } as const;

export const RFCTL = { EXSTEN: 1 << 15 } as const;

export const RXCSUM = { PCSD: 1 << 13 } as const;

export const MRQC = {
  enableMask: 3,
  RSS: 1,
  TCP_IPV4: 1 << 16,
  IPV4: 1 << 17,
  TCP_IPV6: 1 << 18,
  IPV6_EX: 1 << 19,
  IPV6: 1 << 20,
} as const;

export const TARC_ENABLE = 1 << 10;

/** SMBI: set by each read, and cleared by a write. */
export const SWSM = { SMBI: 1 << 0, stored: 0xf } as const;

const RETA: Words = [REG.RETA, REG.RETA + RETA_WORDS - 1];
const RSSRK: Words = [REG.RSSRK, REG.RSSRK + RSSRK_WORDS - 1];

/** The bits of each word that keep what is written to them. */
export const MASKS = writeMasks(
  [
    ...SHARED_STORED,
    ...[REG.EXTCNF_CTRL, REG.POEMB, REG.PBS, REG.EIAC, REG.IAM, REG.IVAR, REG.PSRCTL].map(one),
    ...[REG.RFCTL, REG.MRQC, REG.TARC0, REG.TARC1, REG.MANC2H, REG.GCR, REG.FUNCTAG, REG.GCR2].map(one),
    ...ringStored(REG.RDBAL1),
    ...ringStored(REG.TDBAL1),
    [REG.GSCL_1, REG.GSCL_1 + 3],
    [REG.GSCN_0, REG.GSCN_0 + 3],
    ...[RETA, RSSRK],
  ],
  {
    ...SHARED_WRITABLE,
    ...ringWritable(REG.RDBAL1),
    ...ringWritable(REG.TDBAL1),
    [REG.CTRL_EXT]: ~CTRL_EXT_STROBES,
    [REG.EIAC]: CAUSES,
    [REG.SWSM]: SWSM.stored,
    ...Object.fromEntries(Array.from({ length: VECTORS }, (_, vector) => [REG.EITR + vector, 0xffff])),
  },
);

/** Where registers of older controllers' offsets are: [offset of the first, of the last, of the present first]. */
const OLD_OFFSETS = [
  [0x00004, 0x00004, 0x00000],
  [0x00040, 0x000bc, 0x05400],
  [0x00108, 0x00108, 0x02820],
  [0x00110, 0x00128, 0x02800],
  [0x00160, 0x00160, 0x02168],
  [0x00168, 0x00168, 0x02160],
  [0x00420, 0x00438, 0x03800],
  [0x00440, 0x00440, 0x03820],
  [0x00600, 0x007fc, 0x05600],
] as const;

/** By word, the word that it is an alias of, or itself. */
export const ALIASES = Uint16Array.from({ length: REGISTER_BYTES / 4 }, (_, index) => {
  const alias = OLD_OFFSETS.find(([first, last]) => index >= word(first) && index <= word(last));
  return alias === undefined ? index : word(alias[2]) + index - word(alias[0]);
});
