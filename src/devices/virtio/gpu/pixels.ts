/** Pixel formats (virtio 1.3 §5.7.6.8), of 4 bytes each, named by the order of their bytes in memory. */
const FORMAT = {
  b8g8r8a8: 1,
  b8g8r8x8: 2,
  a8r8g8b8: 3,
  x8r8g8b8: 4,
  r8g8b8a8: 67,
  x8b8g8r8: 68,
  a8b8g8r8: 121,
  r8g8b8x8: 134,
} as const;

export const PIXEL_BYTES = 4;

/** Converts a pixel, as a little-endian word, to 0xRRGGBB, by format. */
const COLORS: ReadonlyMap<number, (word: number) => number> = new Map([
  [FORMAT.b8g8r8a8, bgr],
  [FORMAT.b8g8r8x8, bgr],
  [FORMAT.a8r8g8b8, argb],
  [FORMAT.x8r8g8b8, argb],
  [FORMAT.r8g8b8a8, rgb],
  [FORMAT.r8g8b8x8, rgb],
  [FORMAT.x8b8g8r8, abgr],
  [FORMAT.a8b8g8r8, abgr],
]);

/** The position of a format's alpha; formats that are absent have none. */
const ALPHA_SHIFT: ReadonlyMap<number, number> = new Map([
  [FORMAT.b8g8r8a8, 24],
  [FORMAT.r8g8b8a8, 24],
  [FORMAT.a8r8g8b8, 0],
  [FORMAT.a8b8g8r8, 0],
]);

export function isFormat(format: number): boolean {
  return COLORS.has(format);
}

/** Converts `width` pixels of `words`, from `at` on, to 0xRRGGBB in `line`. */
export function drawLine(
  format: number,
  words: Uint32Array,
  at: number,
  line: Uint32Array,
  width: number,
): void {
  const color = COLORS.get(format)!;
  for (let x = 0; x < width; x++) line[x] = color(words[at + x]!);
}

/** 0 is transparent, 255 opaque. */
export function alphaOf(format: number, word: number): number {
  const shift = ALPHA_SHIFT.get(format);
  return shift === undefined ? 0xff : (word >>> shift) & 0xff;
}

function bgr(word: number): number {
  return word & 0xff_ffff;
}

function argb(word: number): number {
  return ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24);
}

function rgb(word: number): number {
  return ((word & 0xff) << 16) | (word & 0xff00) | ((word >>> 16) & 0xff);
}

function abgr(word: number): number {
  return word >>> 8;
}
