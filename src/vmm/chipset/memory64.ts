import type { PciWindow } from '../../devices/pci/assign.ts';
import { HIGH_RAM_START, PCI_MMIO64 } from '../memory/layout.ts';

/**
 * The window of 64-bit BARs: above RAM and everything else, within the address space of the guest's CPUs.
 *
 * @returns the window of a machine whose devices need no more, and the limit of its end if they do
 */
export function memory64Window(
  ramEnd: number,
  addressBits: number,
): { readonly window: PciWindow; readonly end: number } {
  const { align, least, most, share } = PCI_MMIO64;
  const start = Math.ceil(Math.max(ramEnd, HIGH_RAM_START) / align) * align;
  const addresses = 2 ** addressBits;
  const size = Math.min(Math.max(least, addresses / share), most);
  const end = Math.max(addresses, start + align);
  const advice =
    `the guest's CPU has ${addressBits} bits of physical addresses, and the window comes after its RAM: ` +
    'give the VM less memory, or remove a device';
  return { window: { start, size: Math.min(size, end - start), advice }, end };
}
