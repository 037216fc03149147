import { be32At } from '../../scsi/cdb.ts';

/** Responses of CD and DVD drives (MMC-6), for media with one data track. */

export const CD_BLOCK = 2048;

/** The blocks of the longest CD: 80 minutes of 60 seconds of 75. */
const MAX_CD_BLOCKS = 80 * 60 * 75;
const PROFILE = { cd: 0x0008, dvd: 0x0010 } as const;
/** Minutes, seconds and frames of block 0. */
const MSF_OFFSET = 150;
const LEAD_OUT = 0xaa;
/** A data track, with the position in the subchannel. */
const DATA_TRACK = 0x14;

/** Media events (MMC-6 table 303). */
export const MEDIA_EVENT = { none: 0, ejectRequest: 1, newMedia: 2, removal: 3 } as const;

export function isDvd(blocks: number): boolean {
  return blocks > MAX_CD_BLOCKS;
}

const be16 = (value: number) => [(value >> 8) & 0xff, value & 0xff];
const be32 = (value: number) => [...be16(Math.floor(value / 2 ** 16)), ...be16(value % 2 ** 16)];

/** A block's address in a table of contents. */
function position(block: number, asTime: boolean): number[] {
  if (!asTime) return be32(Math.min(block, 0xffff_ffff));
  const frames = block + MSF_OFFSET;
  return [0, Math.min(255, Math.floor(frames / 75 / 60)), Math.floor(frames / 75) % 60, frames % 75];
}

/** Data preceded by its length, which is 2 bytes and does not count itself. */
function withLength(content: readonly number[]): Uint8Array {
  return Uint8Array.from([...be16(content.length), ...content]);
}

/** READ TOC/PMA/ATIP (MMC-6 §6.25); null if a field of the command is invalid. */
export function readToc(packet: Uint8Array, blocks: number): Uint8Array | null {
  const asTime = (packet[1]! & 2) !== 0;
  // Old drivers put the format in the control byte.
  switch (packet[2]! & 0xf || packet[9]! >> 6) {
    case 0: {
      const first = packet[6]!;
      if (first > 1 && first !== LEAD_OUT) return null;
      const track = first <= 1 ? [0, DATA_TRACK, 1, 0, ...position(0, asTime)] : [];
      return withLength([1, 1, ...track, 0, DATA_TRACK, LEAD_OUT, 0, ...position(blocks, asTime)]);
    }
    case 1:
      return withLength([1, 1, 0, DATA_TRACK, 1, 0, ...position(0, asTime)]);
    case 2: {
      const entry = (point: number, [, ...time]: number[]) => [1, DATA_TRACK, 0, point, 0, 0, 0, 0, ...time];
      const first = [...entry(0xa0, [0, 1, 0, 0]), ...entry(0xa1, [0, 1, 0, 0])];
      return withLength([
        1,
        1,
        ...first,
        ...entry(0xa2, position(blocks, true)),
        ...entry(1, position(0, true)),
      ]);
    }
    default:
      return null;
  }
}

/** GET CONFIGURATION (MMC-6 §6.5). @param blocks null if there is no medium */
export function getConfiguration(packet: Uint8Array, blocks: number | null): Uint8Array | null {
  const CURRENT_ONLY = 1;
  const ONE = 2;
  const kind = packet[1]! & 3;
  const from = (packet[2]! << 8) | packet[3]!;
  if (kind > ONE) return null;
  const profile = blocks === null ? 0 : isDvd(blocks) ? PROFILE.dvd : PROFILE.cd;
  const chosen = featuresOf(profile).filter(({ code, current }) =>
    kind === ONE ? code === from : code >= from && (kind !== CURRENT_ONLY || current),
  );
  const content = chosen.flatMap(({ code, flags, data }) => [...be16(code), flags, data.length, ...data]);
  return Uint8Array.from([...be32(content.length + 4), 0, 0, ...be16(profile), ...content]);
}

type Feature = {
  readonly code: number;
  readonly flags: number;
  readonly current: boolean;
  readonly data: readonly number[];
};

/** Features of the drive (MMC-6 §5.2), in the order of their codes. */
function featuresOf(profile: number): Feature[] {
  const feature = (code: number, version: number, data: number[], isPersistent = true, current = true) => ({
    ...{ code, current, data },
    flags: (version << 2) | (isPersistent ? 2 : 0) | (current ? 1 : 0),
  });
  const profiles = [PROFILE.dvd, PROFILE.cd].flatMap(known => [...be16(known), known === profile ? 1 : 0, 0]);
  return [
    feature(0x0000, 0, profiles),
    // Core: ATAPI, with DBE.
    feature(0x0001, 2, [0, 0, 0, 2, 1, 0, 0, 0]),
    // Morphing: operational change requests by polling.
    feature(0x0002, 1, [2, 0, 0, 0]),
    // Removable medium: a tray that loads, ejects and locks.
    feature(0x0003, 2, [0x39, 0, 0, 0]),
    feature(0x0010, 0, [...be32(CD_BLOCK), 0, 1, 0, 0], false, profile !== 0),
    feature(0x001e, 2, [0, 0, 0, 0], false, profile === PROFILE.cd),
    feature(0x001f, 0, [], false, profile === PROFILE.dvd),
    // Power management, and timeouts.
    feature(0x0100, 0, []),
    feature(0x0105, 0, []),
  ];
}

/** The media events of GET EVENT STATUS NOTIFICATION (MMC-6 §6.6); null if the drive does not support the request. */
export function eventStatus(packet: Uint8Array, event: number, status: number): Uint8Array | null {
  const POLLED = 1;
  const MEDIA = 4;
  const NO_EVENT_AVAILABLE = 0x80;
  const supported = 1 << MEDIA;
  if ((packet[1]! & POLLED) === 0) return null;
  if ((packet[4]! & supported) === 0) return Uint8Array.from([0, 2, NO_EVENT_AVAILABLE, supported]);
  return Uint8Array.from([0, 6, MEDIA, supported, event, status, 0, 0]);
}

/** READ DISC INFORMATION (MMC-6 §6.21): one complete session with one track. */
export function readDiscInformation(packet: Uint8Array): Uint8Array | null {
  if ((packet[1]! & 7) !== 0) return null;
  const content = new Array<number>(32).fill(0);
  // Complete; its first and last tracks and sessions; unrestricted use.
  [0x0e, 1, 1, 1, 1, 0x20].forEach((byte, at) => {
    content[at] = byte;
  });
  // The start of a next session: none.
  content.fill(0xff, 14, 22);
  return withLength(content);
}

/** READ TRACK INFORMATION (MMC-6 §6.26); null if there is no such track. */
export function readTrackInformation(packet: Uint8Array, blocks: number): Uint8Array | null {
  const number = be32At(packet, 2);
  const kind = packet[1]! & 3;
  if (kind === 3 || (kind === 0 ? number >= blocks : number !== 1)) return null;
  const content = new Array<number>(34).fill(0);
  // Track 1 of session 1: data, mode 1.
  [1, 1, 0, 4, 1].forEach((byte, at) => {
    content[at] = byte;
  });
  be32(Math.min(blocks, 0xffff_ffff)).forEach((byte, at) => {
    content[22 + at] = byte;
  });
  return withLength(content);
}

/** READ DISC STRUCTURE (MMC-6 §6.22) of a DVD; null if the drive does not support the request. */
export function readDiscStructure(packet: Uint8Array, blocks: number): Uint8Array | null {
  const READABLE = 0x40;
  switch (packet[7]!) {
    case 0x00:
      return withLength([0, 0, ...physicalFormat(blocks)]);
    // No copy protection, all regions.
    case 0x01:
      return withLength([0, 0, 0, 0, 0, 0]);
    // No manufacturer data.
    case 0x04:
      return withLength([0, 0, ...new Array<number>(2048).fill(0)]);
    case 0xff: {
      const entry = (format: number, length: number) => [format, READABLE, ...be16(length)];
      return withLength([0, 0, ...entry(0x00, 2052), ...entry(0x01, 8), ...entry(0x04, 2052)]);
    }
    default:
      return null;
  }
}

/** Physical format information (MMC-6 table 399): a single-layer 120 mm DVD-ROM. */
function physicalFormat(blocks: number): number[] {
  /** The start of data on a DVD. */
  const START = 0x3_0000;
  const data = new Array<number>(2048).fill(0);
  const last = Math.min(START + Math.max(0, blocks - 1), 0xff_ffff);
  [0x01, 0x0f, 0x01, 0x00, ...be32(START), ...be32(last)].forEach((byte, at) => {
    data[at] = byte;
  });
  return data;
}

/** Mode pages (MMC-6 §7): error recovery, caching, timeouts, and capabilities. */
const MODE_PAGES: readonly (readonly number[])[] = [
  [0x01, 0x06, 0x00, 0x05, 0, 0, 0, 0],
  [0x08, 0x0a, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
  [0x1a, 0x0a, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
  capabilities(),
];

/** CD/DVD capabilities and mechanical status (MMC-3 §6.3.11), which drivers still read. */
function capabilities(): number[] {
  // Reads DVD-ROM; a tray that locks and ejects; 706 kB/s, as drives have reported for decades, and a 2 MiB buffer.
  const page = [
    0x2a,
    0x14,
    0x08,
    0x00,
    0x71,
    0x60,
    0x29,
    0x00,
    ...be16(706),
    0,
    0,
    ...be16(2048),
    ...be16(706),
  ];
  return [...page, 0, 0, 0, 0, 0, 0];
}

/**
 * MODE SENSE (SPC-4 §6.13); null if there is no such page. @param control the requested values: 0 current, 1
 * changeable, 2 default
 */
export function modePages(page: number, subpage: number, control: number): number[] | null {
  const ALL = 0x3f;
  if (subpage !== 0 && subpage !== 0xff) return null;
  const pages = MODE_PAGES.filter(([code]) => page === ALL || code === page);
  if (pages.length === 0) return null;
  // Nothing can be changed.
  return pages.flatMap(bytes => (control === 1 ? bytes.map((byte, at) => (at < 2 ? byte : 0)) : [...bytes]));
}
