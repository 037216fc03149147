import {
  one,
  REG as SHARED,
  STORED as SHARED_STORED,
  WRITABLE as SHARED_WRITABLE,
  word,
  writeMasks,
} from '../gigabit/registers.ts';

/**
 * The registers of the 82540EM that this model implements (Intel, PCI/PCI-X Family of Gigabit Ethernet Controllers
 * Software Developer's Manual, revision 4.0, §13), by their data sheet names. Each is the index of a 32-bit word.
 */
export const REG = {
  ...SHARED,
  TXDMAC: word(0x03000),
  TSPMT: word(0x03830),
} as const;

export const EECD = {
  SK: 1 << 0,
  CS: 1 << 1,
  DI: 1 << 2,
  DO: 1 << 3,
  FWE: 3 << 4,
  REQ: 1 << 6,
  GNT: 1 << 7,
  PRES: 1 << 8,
} as const;

export const EERD = { START: 1 << 0, DONE: 1 << 4, addressShift: 8, dataShift: 16 } as const;

/** The bits of ICR. */
export const CAUSES = 0x0001_ffff;

/** The bits of each word that keep what is written to them. */
export const MASKS = writeMasks([...SHARED_STORED, one(REG.TXDMAC), one(REG.TSPMT)], SHARED_WRITABLE);
