import { constants, createDeflate, type Deflate } from 'node:zlib';
import { type Framebuffer, type Rectangle, TILE } from './framebuffer.ts';
import type { PixelWriter } from './pixel-format.ts';

/** Palettes are sent only up to this many colors. */
const PALETTE_MAX = 16;

/** A rectangle's pixels, unencoded. */
export function rawPixels({ pixels, width }: Framebuffer, area: Rectangle, writer: PixelWriter): Buffer {
  const bytes = Buffer.alloc(area.width * area.height * writer.size);
  let to = 0;
  for (let y = area.y; y < area.y + area.height; y++) {
    for (let x = area.x; x < area.x + area.width; x++)
      to = writer.write(bytes, to, writer.value(pixels, 4 * (y * width + x)));
  }
  return bytes;
}

/** Zlib Run-Length Encoding (RFC 6143 §7.7.6): one zlib stream for the whole connection. */
export class Zrle {
  readonly #deflate: Deflate = createDeflate({ level: 3 });
  readonly #parts: Buffer[] = [];

  constructor() {
    this.#deflate.on('data', (part: Buffer) => this.#parts.push(part));
    // It is closed with its connection, possibly during an operation.
    this.#deflate.on('error', () => {});
  }

  close(): void {
    this.#deflate.destroy();
  }

  /** @returns the rectangle's data, prefixed with its length */
  async encode(framebuffer: Framebuffer, area: Rectangle, writer: PixelWriter): Promise<Buffer> {
    const tiles: Buffer[] = [];
    for (let y = area.y; y < area.y + area.height; y += TILE) {
      for (let x = area.x; x < area.x + area.width; x += TILE) {
        const width = Math.min(TILE, area.x + area.width - x);
        const height = Math.min(TILE, area.y + area.height - y);
        tiles.push(tileOf(framebuffer, { x, y, width, height }, writer));
      }
    }
    this.#deflate.write(Buffer.concat(tiles));
    await new Promise<void>(resolve => this.#deflate.flush(constants.Z_SYNC_FLUSH, resolve));
    const data = Buffer.concat(this.#parts.splice(0));
    const length = Buffer.alloc(4);
    length.writeUInt32BE(data.length);
    return Buffer.concat([length, data]);
  }
}

/** A tile as one color, as palette indices, or raw. */
function tileOf({ pixels, width }: Framebuffer, tile: Rectangle, writer: PixelWriter): Buffer {
  const values = new Uint32Array(tile.width * tile.height);
  const palette = new Map<number, number>();
  for (let y = 0, to = 0; y < tile.height; y++) {
    for (let x = 0; x < tile.width; x++, to++) {
      const value = writer.value(pixels, 4 * ((tile.y + y) * width + tile.x + x));
      values[to] = value;
      if (palette.size <= PALETTE_MAX && !palette.has(value)) palette.set(value, palette.size);
    }
  }
  if (palette.size > PALETTE_MAX) {
    const bytes = Buffer.alloc(1 + values.length * writer.compressedSize);
    let to = 1;
    for (const value of values) to = writer.writeCompressed(bytes, to, value);
    return bytes;
  }
  const head = Buffer.alloc(1 + palette.size * writer.compressedSize);
  head[0] = palette.size;
  let to = 1;
  for (const value of palette.keys()) to = writer.writeCompressed(head, to, value);
  if (palette.size === 1) return head;
  return Buffer.concat([head, packed(values, palette, tile)]);
}

/** The palette indices of pixels, packed into bytes; each row starts at a byte. */
function packed(
  values: Uint32Array,
  palette: ReadonlyMap<number, number>,
  { width, height }: Rectangle,
): Buffer {
  const bits = palette.size === 2 ? 1 : palette.size <= 4 ? 2 : 4;
  const stride = Math.ceil((width * bits) / 8);
  const bytes = Buffer.alloc(stride * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const index = palette.get(values[y * width + x]!)!;
      bytes[y * stride + ((x * bits) >> 3)]! |= index << (8 - bits - ((x * bits) & 7));
    }
  }
  return bytes;
}
