/**
 * Registers that Intel's gigabit controllers have in common, by the names of their data sheets. Each is the index of a
 * 32-bit word. Sections (§) in this folder are those of Intel, PCI/PCI-X Family of Gigabit Ethernet Controllers
 * Software Developer's Manual, revision 4.0.
 */

export const word = (offset: number) => offset >>> 2;

/** The bytes of the register space that are stored: beyond are diagnostic windows, which read as zero. */
export const REGISTER_BYTES = 0x6000;

export const REG = {
  // General
  CTRL: word(0x00000),
  STATUS: word(0x00008),
  EECD: word(0x00010),
  EERD: word(0x00014),
  CTRL_EXT: word(0x00018),
  MDIC: word(0x00020),
  FCAL: word(0x00028),
  FCAH: word(0x0002c),
  FCT: word(0x00030),
  VET: word(0x00038),
  FCTTV: word(0x00170),
  LEDCTL: word(0x00e00),
  PBA: word(0x01000),
  // Interrupts
  ICR: word(0x000c0),
  ITR: word(0x000c4),
  ICS: word(0x000c8),
  IMS: word(0x000d0),
  IMC: word(0x000d8),
  // Receive
  RCTL: word(0x00100),
  FCRTL: word(0x02160),
  FCRTH: word(0x02168),
  RDBAL: word(0x02800),
  RDBAH: word(0x02804),
  RDLEN: word(0x02808),
  RDH: word(0x02810),
  RDT: word(0x02818),
  RDTR: word(0x02820),
  RXDCTL: word(0x02828),
  RADV: word(0x0282c),
  RSRPD: word(0x02c00),
  // Transmit
  TCTL: word(0x00400),
  TIPG: word(0x00410),
  AIFS: word(0x00458),
  TDBAL: word(0x03800),
  TDBAH: word(0x03804),
  TDLEN: word(0x03808),
  TDH: word(0x03810),
  TDT: word(0x03818),
  TIDV: word(0x03820),
  TXDCTL: word(0x03828),
  TADV: word(0x0382c),
  // Receive checksum and filters
  RXCSUM: word(0x05000),
  MTA: word(0x05200),
  RAL: word(0x05400),
  VFTA: word(0x05600),
  // Wake-up
  WUC: word(0x05800),
  WUFC: word(0x05808),
  WUS: word(0x05810),
  MANC: word(0x05820),
  IPAV: word(0x05838),
  IP4AT: word(0x05840),
  IP6AT: word(0x05880),
  WUPL: word(0x05900),
  WUPM: word(0x05a00),
  FFLT: word(0x05f00),
} as const;

/** The registers of a ring, relative to RDBAL or TDBAL. */
export const RING = { BAL: 0, BAH: 1, LEN: 2, H: 4, T: 6, DCTL: 10 } as const;

export const MTA_WORDS = 128;
export const VFTA_WORDS = 128;
/** The number of RAL and RAH pairs. */
export const RECEIVE_ADDRESSES = 16;

export const CTRL = {
  FD: 1 << 0,
  ASDE: 1 << 5,
  SLU: 1 << 6,
  SPEED_1000: 1 << 9,
  RST: 1 << 26,
  VME: 1 << 30,
  PHY_RST: 2 ** 31,
} as const;

export const STATUS = { FD: 1 << 0, LU: 1 << 1, SPEED_1000: 1 << 7, ASDV_1000: 1 << 9 } as const;

export const MDIC = {
  registerShift: 16,
  phyShift: 21,
  operationShift: 26,
  WRITE: 1,
  READ: 2,
  R: 1 << 28,
  I: 1 << 29,
  E: 1 << 30,
} as const;

/** Causes, in ICR, ICS, IMS and IMC. */
export const CAUSE = {
  TXDW: 1 << 0,
  TXQE: 1 << 1,
  LSC: 1 << 2,
  RXDMT0: 1 << 4,
  RXO: 1 << 6,
  RXT0: 1 << 7,
  MDAC: 1 << 9,
  TXD_LOW: 1 << 15,
  SRPD: 1 << 16,
} as const;

export const RCTL = {
  EN: 1 << 1,
  UPE: 1 << 3,
  MPE: 1 << 4,
  LPE: 1 << 5,
  LBM: 3 << 6,
  thresholdShift: 8,
  offsetShift: 12,
  BAM: 1 << 15,
  sizeShift: 16,
  VFE: 1 << 18,
  CFIEN: 1 << 19,
  CFI: 1 << 20,
  DPF: 1 << 22,
  PMCF: 1 << 23,
  BSEX: 1 << 25,
  SECRC: 1 << 26,
} as const;

/** In RDTR and TIDV: flush partial descriptor block. */
export const FPD = 2 ** 31;

export const TCTL = { EN: 1 << 1, PSP: 1 << 3 } as const;

/** In RAH. */
export const AV = 2 ** 31;

/** The writable bits of shared registers that are more than storage; of others that are stored, all 32. */
export const WRITABLE: Readonly<Record<number, number>> = {
  [REG.STATUS]: 0,
  [REG.ITR]: 0xffff,
  [REG.VET]: 0xffff,
  [REG.FCT]: 0xffff,
  [REG.FCAH]: 0xffff,
  ...ringWritable(REG.RDBAL),
  [REG.RDTR]: 0xffff,
  [REG.RADV]: 0xffff,
  [REG.RSRPD]: 0xfff,
  ...ringWritable(REG.TDBAL),
  [REG.TIDV]: 0xffff,
  [REG.TADV]: 0xffff,
  [REG.WUC]: 0,
  [REG.WUFC]: 0x7f,
  [REG.WUS]: 0,
};

/** Of a ring. @param at RDBAL or TDBAL */
export function ringWritable(at: number): Readonly<Record<number, number>> {
  return {
    [at + RING.BAL]: 0xffff_fff0,
    [at + RING.BAH]: 0xffff_ffff,
    [at + RING.LEN]: 0x000f_ff80,
    [at + RING.H]: 0xffff,
    [at + RING.T]: 0xffff,
    [at + RING.DCTL]: 0xffff_ffff,
  };
}

/** A range of words. */
export type Words = readonly [first: number, last: number];

export const one = (register: number): Words => [register, register];

/** All of a ring. @param at RDBAL or TDBAL */
export const ringStored = (at: number): readonly Words[] => [
  [at + RING.BAL, at + RING.LEN],
  one(at + RING.H),
  one(at + RING.T),
  one(at + RING.DCTL),
];

/** The words that are stored as written, apart from `WRITABLE`. */
export const STORED: readonly Words[] = [
  ...[
    ...[REG.CTRL_EXT, REG.FCAL, REG.FCAH, REG.FCT, REG.VET, REG.FCTTV, REG.LEDCTL, REG.PBA, REG.ITR],
    ...[REG.RCTL, REG.FCRTL, REG.FCRTH, REG.RDTR, REG.RADV, REG.RSRPD],
    ...[REG.TCTL, REG.TIPG, REG.AIFS, REG.TIDV, REG.TADV, REG.RXCSUM],
    ...[REG.WUC, REG.WUFC, REG.MANC, REG.IPAV, REG.WUPL],
  ].map(one),
  ...ringStored(REG.RDBAL),
  ...ringStored(REG.TDBAL),
  [REG.MTA, REG.MTA + MTA_WORDS - 1],
  [REG.RAL, REG.RAL + 2 * RECEIVE_ADDRESSES - 1],
  [REG.VFTA, REG.VFTA + VFTA_WORDS - 1],
  [REG.IP4AT, REG.IP4AT + 7],
  [REG.IP6AT, REG.IP6AT + 3],
  [REG.WUPM, REG.WUPM + 31],
  [REG.FFLT, REG.FFLT + 7],
];

/** The bits of each word that keep what is written to them. */
export function writeMasks(
  stored: readonly Words[],
  writable: Readonly<Record<number, number>>,
): Uint32Array {
  const masks = new Uint32Array(REGISTER_BYTES / 4);
  for (const [first, last] of stored) masks.fill(0xffff_ffff, first, last + 1);
  for (const [register, mask] of Object.entries(writable)) masks[Number(register)] = mask;
  return masks;
}
