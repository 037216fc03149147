const UNITS: Record<string, number> = { '': 2 ** 20, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 };

/** A size as people write it: `512M`, `1.5G`, `64MiB`; a bare number counts MiB, as QEMU's -m does. */
export const SIZE = /^(\d+(?:\.\d+)?)([KMGTkmgt]?)(?:i?[Bb])?$/;

/** Bytes of a size; null if it isn't one, or not a positive whole number of bytes. */
export function bytesOf(text: string): number | null {
  const match = SIZE.exec(text);
  const bytes = match ? Number(match[1]) * UNITS[match[2]!.toUpperCase()]! : Number.NaN;
  return Number.isSafeInteger(bytes) && bytes > 0 ? bytes : null;
}

/** The shortest exact text of a size, for `bytesOf`: `512M`, `2G`, `1536K`. */
export function sizeText(bytes: number): string {
  for (const unit of ['T', 'G', 'M', 'K']) {
    if (bytes > 0 && bytes % UNITS[unit]! === 0) return `${bytes / UNITS[unit]!}${unit}`;
  }
  return `${bytes / 1024}K`;
}
