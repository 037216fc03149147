import type { HostBlock } from '../../devices/host-block.ts';
import { FIRMWARE_LOW_RAM, HIGH_RAM_START, LOW_RAM_END } from './layout.ts';

/** The place of a block of RAM: its guest-physical address, and its offset in the file of all blocks. Bytes. */
export type BlockPlace = Pick<HostBlock, 'name' | 'size' | 'offset'> & { readonly address: number };

/**
 * The blocks into which `bytes` of RAM are divided: one below 3 GiB, or less with firmware, and the rest from 4 GiB up.
 */
export function ramLayout(bytes: number, firmware = false): BlockPlace[] {
  const low = firmware
    ? bytes <= FIRMWARE_LOW_RAM.most
      ? bytes
      : FIRMWARE_LOW_RAM.end
    : Math.min(bytes, LOW_RAM_END);
  const blocks = [{ name: 'ram-low', address: 0, size: low, offset: 0 }];
  if (bytes > low) blocks.push({ name: 'ram-high', address: HIGH_RAM_START, size: bytes - low, offset: low });
  return blocks;
}
