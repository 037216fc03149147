import type { BusMaster } from '../../pci/bus-master.ts';
import type { NicPort } from '../nic-port.ts';
import type { DescriptorFormat } from './descriptors.ts';

/** What the two halves of a card share. */
export interface Card {
  readonly csr: Uint16Array;
  readonly bus: BusMaster;
  readonly port: NicPort;
  readonly format: DescriptorFormat;
  /** Sets bits of CSR0. */
  raise(bits: number): void;
  /** An access to memory has failed: both halves stop. */
  memoryError(): void;
}
