import type { MemoryRegion } from '../guest-memory.ts';

const KiB = 2 ** 10;
const MiB = 2 ** 20;
const GiB = 2 ** 30;
const UNIT = 64 * KiB;

/** The 128 bytes of CMOS RAM; the first 14 belong to the clock. */
export const CMOS_SIZE = 128;

/** Where PC firmware looks for memory sizes: 16-bit words, low byte first. */
const BASE_MEMORY_KIB = 0x15;
const EXTENDED_MEMORY_KIB = [0x17, 0x30] as const;
/** From 16 MiB to 4 GiB, in units of 64 KiB. */
const MEMORY_ABOVE_16M = 0x34;
/** From 4 GiB on, in units of 64 KiB: three bytes. */
const MEMORY_ABOVE_4G = 0x5b;

/** CMOS RAM with the memory sizes. */
export function cmosMemory(regions: readonly MemoryRegion[]): Uint8Array {
  const sum = (part: readonly MemoryRegion[]) => part.reduce((total, region) => total + region.size, 0);
  const low = sum(regions.filter(region => region.address < 4 * GiB));
  const high = sum(regions.filter(region => region.address >= 4 * GiB));
  const bytes = new Uint8Array(CMOS_SIZE);
  const view = new DataView(bytes.buffer);
  view.setUint16(BASE_MEMORY_KIB, 640, true);
  const extended = Math.min((low - 1 * MiB) / KiB, 0xffff);
  for (const at of EXTENDED_MEMORY_KIB) view.setUint16(at, extended, true);
  view.setUint16(MEMORY_ABOVE_16M, Math.max(0, low - 16 * MiB) / UNIT, true);
  const units = Math.min(Math.floor(high / UNIT), 0xff_ffff);
  view.setUint16(MEMORY_ABOVE_4G, units & 0xffff, true);
  view.setUint8(MEMORY_ABOVE_4G + 2, units >>> 16);
  return bytes;
}
