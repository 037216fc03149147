import { SECTOR } from './registers.ts';

/** The maximum number of sectors in a block of READ MULTIPLE. */
export const MAX_MULTIPLE = 16;
/** The number of commands that a drive queues. */
export const QUEUE_DEPTH = 32;
/** The maximum number of blocks of ranges in DATA SET MANAGEMENT. */
export const MAX_TRIM_BLOCKS = 8;

/** The maximum number of sectors that 28 bits address. */
const MAX_LBA28 = 2 ** 28 - 1;
const MAX_CYLINDERS = 16_383;

/** The geometry of a drive for hosts that address sectors by cylinder, head and sector. */
export type Geometry = { readonly heads: number; readonly sectors: number };
export const DEFAULT_GEOMETRY: Geometry = { heads: 16, sectors: 63 };

export function cylindersOf(sectors: number, geometry: Geometry): number {
  return Math.min(MAX_CYLINDERS, Math.floor(sectors / (geometry.heads * geometry.sectors)));
}

/** What every drive reports about itself. */
export type AtaIdentity = {
  /** At most 20, 8 and 40 characters. */
  readonly serial: string;
  readonly firmware: string;
  readonly model: string;
  /** 0 if none. */
  readonly wwn: bigint;
};

/** The selected transfer mode: the number of the multiword or ultra DMA mode. */
export type DmaMode = { readonly kind: 'multiword' | 'ultra' | 'none'; readonly mode: number };

/** How a drive is connected: by a parallel (IDE) or a serial cable (SATA). */
export type AtaInterface = 'parallel' | 'serial';

export type DiskFacts = AtaIdentity & {
  readonly interface: AtaInterface;
  readonly sectors: number;
  /** The physical block size of the medium, in bytes. */
  readonly physicalBlock: number;
  /** Revolutions per minute; 1 if it does not rotate, 0 if not reported. */
  readonly rotationRate: number;
  readonly canTrim: boolean;
  readonly geometry: Geometry;
  readonly multiple: number;
  readonly dma: DmaMode;
  readonly writeCache: boolean;
  readonly lookAhead: boolean;
  readonly smart: boolean;
};

/** The data of IDENTIFY DEVICE (ACS-3 §7.12.7). */
export function identifyDisk(facts: DiskFacts): Uint8Array {
  const { sectors, geometry, physicalBlock } = facts;
  const cylinders = cylindersOf(sectors, DEFAULT_GEOMETRY);
  const current = cylindersOf(sectors, geometry);
  const words = commonWords(facts);
  // Not removable.
  words.set(0, 0x0040);
  words.set(1, cylinders);
  words.set(3, DEFAULT_GEOMETRY.heads);
  words.set(6, DEFAULT_GEOMETRY.sectors);
  words.set(47, 0x8000 | MAX_MULTIPLE);
  // Standby timers as in the standard, IORDY, LBA, DMA.
  words.set(49, 0x2f00);
  words.set(50, 0x4000);
  words.set(54, current);
  words.set(55, geometry.heads);
  words.set(56, geometry.sectors);
  words.set32(57, current * geometry.heads * geometry.sectors);
  words.set(59, facts.multiple === 0 ? 0 : 0x0100 | facts.multiple);
  words.set32(60, Math.min(sectors, MAX_LBA28));
  // NOP, look-ahead, write cache, power management, SMART.
  const sets = 0x4069;
  // FLUSH CACHE EXT, FLUSH CACHE, 48-bit addresses.
  const more = 0x7400;
  // FUA, general purpose logging, SMART's logs.
  const most = 0x4063 | (facts.wwn === 0n ? 0 : 0x0100);
  words.set(82, sets);
  words.set(83, more);
  words.set(84, most);
  const { smart, writeCache, lookAhead } = facts;
  words.set(85, 0x4008 | (smart ? 0x01 : 0) | (writeCache ? 0x20 : 0) | (lookAhead ? 0x40 : 0));
  words.set(86, more & ~0x4000);
  words.set(87, most);
  words.set32(100, sectors % 2 ** 32);
  words.set32(102, Math.floor(sectors / 2 ** 32));
  words.set(105, facts.canTrim ? MAX_TRIM_BLOCKS : 0);
  const exponent = Math.max(0, Math.floor(Math.log2(physicalBlock / SECTOR)));
  words.set(106, exponent === 0 ? 0x4000 : 0x6000 | exponent);
  words.set(169, facts.canTrim ? 1 : 0);
  words.set(217, facts.rotationRate);
  return words.finish();
}

/** The data of IDENTIFY PACKET DEVICE (ACS-3 §7.13). */
export function identifyCdDrive(
  facts: AtaIdentity & { readonly interface: AtaInterface; readonly dma: DmaMode },
): Uint8Array {
  const words = commonWords(facts);
  // A removable CD drive with packet commands of 12 bytes, which requests them within 50 µs.
  words.set(0, 0x85c0);
  words.set(49, 0x0f00);
  // Byte counts of PIO are honored as in ATAPI.
  words.set(71, 30);
  words.set(72, 30);
  // NOP, DEVICE RESET, packet commands, power management.
  words.set(82, 0x4218);
  words.set(83, 0x4000);
  words.set(84, 0x4000 | (facts.wwn === 0n ? 0 : 0x0100));
  words.set(85, 0x4218);
  words.set(87, 0x4000 | (facts.wwn === 0n ? 0 : 0x0100));
  return words.finish();
}

function commonWords(
  facts: AtaIdentity & { readonly interface: AtaInterface; readonly dma: DmaMode },
): IdentifyWords {
  const words = new IdentifyWords();
  words.text(10, 20, facts.serial);
  words.text(23, 8, facts.firmware);
  words.text(27, 40, facts.model);
  words.set(51, 0x0200);
  words.set(53, 0x0007);
  const selected = (kind: DmaMode['kind']) => (facts.dma.kind === kind ? 0x100 << facts.dma.mode : 0);
  // Multiword DMA 0 to 2, PIO 3 and 4, at 120 ns.
  words.set(63, 0x0007 | selected('multiword'));
  words.set(64, 0x0003);
  for (let word = 65; word <= 68; word++) words.set(word, 120);
  // ATA-5 to ACS-2.
  words.set(80, 0x03e0);
  words.set(88, 0x003f | selected('ultra'));
  if (facts.interface === 'serial') {
    words.set(75, QUEUE_DEPTH - 1);
    // Queued commands, and the three speeds.
    words.set(76, 0x010e);
    words.set(222, 0x1000 | 0x3f);
  } else {
    // An 80-wire cable, as detected by the first drive.
    words.set(93, 0x6001);
  }
  if (facts.wwn !== 0n) {
    for (let word = 0; word < 4; word++)
      words.set(108 + word, Number((facts.wwn >> BigInt(48 - 16 * word)) & 0xffffn));
  }
  return words;
}

class IdentifyWords {
  readonly #bytes = new Uint8Array(512);
  readonly #view = new DataView(this.#bytes.buffer);

  set(word: number, value: number): void {
    this.#view.setUint16(2 * word, value, true);
  }

  set32(word: number, value: number): void {
    this.#view.setUint32(2 * word, value, true);
  }

  /** Text of `length` bytes, where the first byte of a word is the high one. */
  text(word: number, length: number, text: string): void {
    const padded = text.slice(0, length).padEnd(length);
    for (let at = 0; at < length; at++) this.#bytes[2 * word + (at ^ 1)] = padded.charCodeAt(at) & 0xff;
  }

  /** Adds the signature and the checksum in word 255. */
  finish(): Uint8Array {
    const bytes = this.#bytes;
    bytes[510] = 0xa5;
    bytes[511] = 0;
    bytes[511] = 0x100 - (bytes.reduce((sum, byte) => sum + byte, 0) & 0xff);
    return bytes;
  }
}
