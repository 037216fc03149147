import type { CommandRegisters, DataDirection, DataPhase } from './ata-drive.ts';
import type { Geometry } from './identify.ts';
import { COMMAND, DEVICE } from './registers.ts';

/** The sectors of a command. */
export type Addressing = {
  /** The first sector; -1 if none has this cylinder, head and sector. */
  readonly lba: number;
  readonly count: number;
};

/** A command that moves sectors. */
export type Transfer = {
  readonly size: 'short' | 'long' | 'queued';
  readonly direction: DataDirection;
  readonly protocol: DataPhase['protocol'];
  /** PIO in blocks of several sectors. */
  readonly multiple?: true;
  readonly durable?: true;
};

/** Commands that move sectors (ACS-3 §7), by command code. */
export const TRANSFERS: ReadonlyMap<number, Transfer> = new Map<number, Transfer>([
  [COMMAND.readSectors, { size: 'short', direction: 'in', protocol: 'pio' }],
  [COMMAND.readSectorsNoRetry, { size: 'short', direction: 'in', protocol: 'pio' }],
  [COMMAND.readSectorsExt, { size: 'long', direction: 'in', protocol: 'pio' }],
  [COMMAND.readDmaExt, { size: 'long', direction: 'in', protocol: 'dma' }],
  [COMMAND.readMultipleExt, { size: 'long', direction: 'in', protocol: 'pio', multiple: true }],
  [COMMAND.writeSectors, { size: 'short', direction: 'out', protocol: 'pio' }],
  [COMMAND.writeSectorsNoRetry, { size: 'short', direction: 'out', protocol: 'pio' }],
  [COMMAND.writeSectorsExt, { size: 'long', direction: 'out', protocol: 'pio' }],
  [COMMAND.writeDmaExt, { size: 'long', direction: 'out', protocol: 'dma' }],
  [COMMAND.writeMultipleExt, { size: 'long', direction: 'out', protocol: 'pio', multiple: true }],
  [COMMAND.writeDmaFuaExt, { size: 'long', direction: 'out', protocol: 'dma', durable: true }],
  [COMMAND.readFpdma, { size: 'queued', direction: 'in', protocol: 'queued' }],
  [COMMAND.writeFpdma, { size: 'queued', direction: 'out', protocol: 'queued' }],
  [COMMAND.readMultiple, { size: 'short', direction: 'in', protocol: 'pio', multiple: true }],
  [COMMAND.writeMultiple, { size: 'short', direction: 'out', protocol: 'pio', multiple: true }],
  [COMMAND.readDma, { size: 'short', direction: 'in', protocol: 'dma' }],
  [COMMAND.readDmaNoRetry, { size: 'short', direction: 'in', protocol: 'dma' }],
  [COMMAND.writeDma, { size: 'short', direction: 'out', protocol: 'dma' }],
  [COMMAND.writeDmaNoRetry, { size: 'short', direction: 'out', protocol: 'dma' }],
  [
    COMMAND.writeMultipleFuaExt,
    { size: 'long', direction: 'out', protocol: 'pio', multiple: true, durable: true },
  ],
]);

/** @param geometry the one that the host has set, for CHS addresses */
export function addressingOf(
  size: Transfer['size'],
  registers: CommandRegisters,
  geometry: Geometry,
): Addressing {
  switch (size) {
    case 'short':
      return shortAddressing(registers, geometry);
    case 'long':
      return { lba: registers.lba, count: registers.count || 65_536 };
    // A queued command has its count in the features register, and its tag in the count register.
    case 'queued':
      return { lba: registers.lba, count: registers.features || 65_536 };
  }
}

/** The sectors of a command with a 28-bit or a CHS address. */
function shortAddressing(
  { lba, count, device }: CommandRegisters,
  { heads, sectors: perTrack }: Geometry,
): Addressing {
  const sectors = count & 0xff || 256;
  const low = lba % 2 ** 24;
  if (device & DEVICE.lba) return { lba: (device & DEVICE.head) * 2 ** 24 + low, count: sectors };
  const [cylinder, head, sector] = [low >> 8, device & DEVICE.head, low & 0xff];
  const isThere = head < heads && sector >= 1 && sector <= perTrack;
  return { lba: isThere ? (cylinder * heads + head) * perTrack + sector - 1 : -1, count: sectors };
}

/** The non-empty ranges of DATA SET MANAGEMENT (ACS-3 §7.10): a 48-bit address and a 16-bit count each. */
export function trimRanges(bytes: Uint8Array): Addressing[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const ranges: Addressing[] = [];
  for (let at = 0; at + 8 <= bytes.length; at += 8) {
    const lba = view.getUint32(at, true) + view.getUint16(at + 4, true) * 2 ** 32;
    const count = view.getUint16(at + 6, true);
    if (count > 0) ranges.push({ lba, count });
  }
  return ranges;
}
