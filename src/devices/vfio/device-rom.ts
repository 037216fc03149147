import { firstImage, MAX_ROM } from '../pci/expansion-rom.ts';
import type { HostRegion } from './host-device.ts';

const CHUNK = 4096;

/** Reads the ROM of a device, which must decode memory. @returns null if it has none that can run */
export function readRom(region: HostRegion): Uint8Array | null {
  if (region.size === 0 || region.size > MAX_ROM) return null;
  const bytes = new Uint8Array(region.size);
  for (let at = 0; at < bytes.length; at += CHUNK) region.read(at, bytes.subarray(at, at + CHUNK));
  return firstImage(bytes) === null ? null : bytes;
}
