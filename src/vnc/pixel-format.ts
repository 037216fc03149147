/** The pixel format that a client requests (RFC 6143 §7.4). */
export type PixelFormat = {
  readonly bitsPerPixel: 8 | 16 | 32;
  readonly depth: number;
  readonly bigEndian: boolean;
  readonly trueColor: boolean;
  readonly max: readonly [red: number, green: number, blue: number];
  readonly shift: readonly [red: number, green: number, blue: number];
};

/** The format of the picture. */
export const NATIVE: PixelFormat = {
  bitsPerPixel: 32,
  depth: 24,
  bigEndian: false,
  trueColor: true,
  max: [255, 255, 255],
  shift: [16, 8, 0],
};

export const PIXEL_FORMAT_BYTES = 16;

export function encodeFormat(format: PixelFormat): Buffer {
  const bytes = Buffer.alloc(PIXEL_FORMAT_BYTES);
  bytes.set([format.bitsPerPixel, format.depth, format.bigEndian ? 1 : 0, format.trueColor ? 1 : 0]);
  for (const [index, max] of format.max.entries()) bytes.writeUInt16BE(max, 4 + 2 * index);
  bytes.set(format.shift, 10);
  return bytes;
}

/** Null if this server does not support it. */
export function decodeFormat(bytes: Buffer): PixelFormat | null {
  const bitsPerPixel = bytes[0]!;
  if (bitsPerPixel !== 8 && bitsPerPixel !== 16 && bitsPerPixel !== 32) return null;
  const max = [4, 6, 8].map(at => bytes.readUInt16BE(at)) as [number, number, number];
  const shift = [bytes[10]!, bytes[11]!, bytes[12]!] as [number, number, number];
  const fits = shift.every(
    (each, index) => each < bitsPerPixel && max[index]! * 2 ** each < 2 ** bitsPerPixel,
  );
  if (bytes[3] === 0 || !fits) return null;
  return { bitsPerPixel, depth: bytes[1]!, bigEndian: bytes[2] !== 0, trueColor: true, max, shift };
}

/** Writes pixels in a client's format. */
export class PixelWriter {
  /** Bytes per pixel. */
  readonly size: number;
  /** Bytes per compressed pixel (CPIXEL) of ZRLE, which omits a byte that is always 0 (RFC 6143 §7.7.6). */
  readonly compressedSize: number;
  readonly #format: PixelFormat;
  /** Offset of the three bytes within a pixel of four. */
  readonly #skip: number;
  readonly #tables: readonly [Uint32Array, Uint32Array, Uint32Array];

  constructor(format: PixelFormat) {
    this.#format = format;
    this.size = format.bitsPerPixel / 8;
    const { max, shift, bigEndian } = format;
    const table = (index: 0 | 1 | 2) =>
      Uint32Array.from(
        { length: 256 },
        (_, value) => (Math.round((value * max[index]) / 255) << shift[index]) >>> 0,
      );
    this.#tables = [table(0), table(1), table(2)];
    const used = (this.#tables[0][255]! | this.#tables[1][255]! | this.#tables[2][255]!) >>> 0;
    const isLow = used <= 0xff_ffff;
    const isHigh = (used & 0xff) === 0;
    const isShort = this.size === 4 && format.depth <= 24 && (isLow || isHigh);
    this.compressedSize = isShort ? 3 : this.size;
    // The three bytes are the first ones in memory, or the last ones.
    this.#skip = isShort && isLow === bigEndian ? 1 : 0;
  }

  /** The value of a pixel, from blue, green and red. */
  value(pixels: Uint8Array, at: number): number {
    const [red, green, blue] = this.#tables;
    return (red[pixels[at + 2]!]! | green[pixels[at + 1]!]! | blue[pixels[at]!]!) >>> 0;
  }

  /** @returns the position after it */
  write(to: Buffer, at: number, value: number): number {
    const { bigEndian } = this.#format;
    switch (this.size) {
      case 1:
        return to.writeUInt8(value, at);
      case 2:
        return bigEndian ? to.writeUInt16BE(value, at) : to.writeUInt16LE(value, at);
      default:
        return bigEndian ? to.writeUInt32BE(value, at) : to.writeUInt32LE(value, at);
    }
  }

  writeCompressed(to: Buffer, at: number, value: number): number {
    if (this.compressedSize === this.size) return this.write(to, at, value);
    this.write(scratch, 0, value);
    scratch.copy(to, at, this.#skip, this.#skip + 3);
    return at + 3;
  }
}

const scratch = Buffer.alloc(4);
