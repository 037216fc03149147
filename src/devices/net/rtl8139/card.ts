import type { BusMaster } from '../../pci/bus-master.ts';
import type { NicPort } from '../nic-port.ts';
import type { RegisterFile } from './register-file.ts';
import type { Tally } from './tally.ts';

/** What the two halves of a card share. */
export interface Card {
  readonly registers: RegisterFile;
  readonly bus: BusMaster;
  readonly port: NicPort;
  readonly tally: Tally;
  /** Sets bits of the interrupt status register. */
  raise(bits: number): void;
  /** An access to memory has failed: the card stops until it is reset (data sheet, section 6.8, SERR). */
  systemError(): void;
}

/** A descriptor of C+ mode (data sheet, section 9): two words of options, and the address of its buffer. */
export const DESCRIPTOR_BYTES = 16;
export const DESCRIPTOR = { options1: 0, options2: 4, address: 8 } as const;
/** The maximum number of descriptors in a ring, even if none is marked as the last. */
export const MAX_DESCRIPTORS = 64;

/** Bits in the first word of both kinds of descriptors. */
export const OWN = 0x8000_0000;
export const END_OF_RING = 0x4000_0000;
export const FIRST = 0x2000_0000;
export const LAST = 0x1000_0000;
