/**
 * The encoding of what a watcher has not seen of a screen: a header, then the rows or tiles that have changed. Little
 * endian. A tile usually has few colors, so it is sent with its own palette.
 */
import type { GraphicsFrame, ScreenArea, ScreenFrame, TextCursor, TextFont } from './screen-frame.ts';

/** Graphics are sent in tiles of this size, clipped to the frame. */
export const TILE = { width: 64, height: 32 } as const;

/** The largest width and height of a screen, in pixels or characters. */
export const MAX_SIDE = 16_384;
export const MAX_PIXELS = 2 ** 24;
export const MAX_CELLS = 2 ** 16;
export const MAX_FONT_HEIGHT = 32;

const KIND = { off: 0, text: 1, graphics: 2 } as const;
const FLAG = { cursor: 1, blinks: 2, looks: 4, second: 8 } as const;
/** The number of colors in a tile, by bits per pixel. */
const COLORS_OF_BITS = [1, 2, 4, 16] as const;
const BITS = [0, 1, 2, 4] as const;
/** The kind of a tile whose pixels are sent uncompressed. */
const PLAIN = 4;

export type TextHead = {
  readonly columns: number;
  readonly rows: number;
  readonly cursor: TextCursor | null;
  readonly blinks: boolean;
};
export type TextLooks = { readonly palette: Uint32Array; readonly font: TextFont };

/** Writes one update. */
export class UpdateWriter {
  #bytes = new Uint8Array(4096);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  get bytes(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  off(): void {
    this.#u8(KIND.off);
  }

  /** @param looks null if the watcher has them */
  text({ columns, rows, cursor, blinks }: TextHead, looks: TextLooks | null): void {
    const second = looks?.font.second ?? null;
    this.#u8(KIND.text);
    this.#u8(
      (cursor ? FLAG.cursor : 0) |
        (blinks ? FLAG.blinks : 0) |
        (looks ? FLAG.looks : 0) |
        (second ? FLAG.second : 0),
    );
    for (const value of [columns, rows]) this.#u16(value);
    if (cursor !== null)
      for (const value of [cursor.column, cursor.row, cursor.start, cursor.end]) this.#u16(value);
    if (looks === null) return;
    for (let index = 0; index < 16; index++) this.#u32(looks.palette[index]!);
    this.#u8(looks.font.width);
    this.#u8(looks.font.height);
    this.#put(looks.font.glyphs);
    if (second !== null) this.#put(second);
  }

  /** One row of a text frame. */
  row(row: number, cells: Uint16Array): void {
    this.#u16(row);
    for (const cell of cells) this.#u16(cell);
  }

  graphics(width: number, height: number): void {
    this.#u8(KIND.graphics);
    this.#u16(width);
    this.#u16(height);
  }

  /** One tile of a picture. @param pixels 0xRRGGBB, row by row. @param area its part inside the picture */
  tile(index: number, pixels: Uint32Array, stride: number, { x, y, width, height }: ScreenArea): void {
    this.#u32(index);
    const colors = colorsOf(pixels, stride, { x, y, width, height });
    if (colors === null) {
      this.#plain(pixels, stride, { x, y, width, height });
      return;
    }
    const kind = COLORS_OF_BITS.findIndex(most => colors.length <= most);
    const bits = BITS[kind]!;
    this.#u8(kind);
    this.#u8(colors.length);
    for (const color of colors) this.#color(color);
    if (bits === 0) return;
    const bytes = Math.ceil((width * height * bits) / 8);
    this.#reserve(bytes);
    const into = this.#bytes;
    let at = this.#length;
    let filled = 0;
    let byte = 0;
    let lastColor = colors[0]!;
    let lastIndex = 0;
    for (let row = y; row < y + height; row++) {
      for (let from = row * stride + x, end = from + width; from < end; from++) {
        const color = pixels[from]! & 0xff_ffff;
        if (color !== lastColor) {
          lastColor = color;
          lastIndex = colors.indexOf(color);
        }
        byte = (byte << bits) | lastIndex;
        filled += bits;
        if (filled < 8) continue;
        into[at++] = byte;
        byte = 0;
        filled = 0;
      }
    }
    if (filled > 0) into[at++] = byte << (8 - filled);
    this.#length = at;
  }

  #plain(pixels: Uint32Array, stride: number, { x, y, width, height }: ScreenArea): void {
    this.#u8(PLAIN);
    this.#reserve(3 * width * height);
    const into = this.#bytes;
    let at = this.#length;
    for (let row = y; row < y + height; row++) {
      for (let from = row * stride + x, end = from + width; from < end; from++) {
        const color = pixels[from]!;
        into[at++] = color;
        into[at++] = color >>> 8;
        into[at++] = color >>> 16;
      }
    }
    this.#length = at;
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(2 * this.#bytes.length, this.#length + bytes));
    larger.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = larger;
    this.#view = new DataView(larger.buffer);
  }

  #u8(value: number): void {
    this.#reserve(1);
    this.#bytes[this.#length++] = value;
  }

  #u16(value: number): void {
    this.#reserve(2);
    this.#view.setUint16(this.#length, value, true);
    this.#length += 2;
  }

  #u32(value: number): void {
    this.#reserve(4);
    this.#view.setUint32(this.#length, value, true);
    this.#length += 4;
  }

  #color(color: number): void {
    this.#u16(color & 0xffff);
    this.#u8((color >>> 16) & 0xff);
  }

  #put(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }
}

/** The colors of a tile, at most 16; null if it has more. */
function colorsOf(pixels: Uint32Array, stride: number, { x, y, width, height }: ScreenArea): number[] | null {
  const colors: number[] = [];
  let last = -1;
  for (let row = y; row < y + height; row++) {
    for (let from = row * stride + x, end = from + width; from < end; from++) {
      const color = pixels[from]! & 0xff_ffff;
      if (color === last) continue;
      last = color;
      if (colors.includes(color)) continue;
      if (colors.length === 16) return null;
      colors.push(color);
    }
  }
  return colors;
}

/** The number of tiles in a row of a picture. */
export function tileColumns(width: number): number {
  return Math.ceil(width / TILE.width);
}

/** The number of tiles in a picture. */
export function tileCount(width: number, height: number): number {
  return tileColumns(width) * Math.ceil(height / TILE.height);
}

/** The area of a tile. */
export function tileArea(index: number, width: number, height: number): ScreenArea {
  const columns = tileColumns(width);
  const x = (index % columns) * TILE.width;
  const y = Math.floor(index / columns) * TILE.height;
  return { x, y, width: Math.min(TILE.width, width - x), height: Math.min(TILE.height, height - y) };
}

/** The frame after an update. */
export type UpdatedFrame = {
  readonly frame: ScreenFrame;
  readonly changed: readonly ScreenArea[];
  readonly looksChanged: boolean;
};

/**
 * Decodes an update into the arrays of the previous frame, or into new ones. The data may be controlled by a guest.
 * @throws Error when it is not an update of that frame
 */
export function applyUpdate(before: ScreenFrame, update: Uint8Array): UpdatedFrame {
  const reader = new Reader(update);
  const kind = reader.u8();
  if (kind === KIND.off) return { frame: { kind: 'off' }, changed: [], looksChanged: false };
  if (kind === KIND.text) return readText(before, reader);
  if (kind === KIND.graphics) return readGraphics(before, reader);
  throw new Error(`a screen of kind ${kind} is not known`);
}

function readText(before: ScreenFrame, reader: Reader): UpdatedFrame {
  const flags = reader.u8();
  const columns = reader.u16();
  const rows = reader.u16();
  require(columns > 0 && rows > 0 && columns * rows <= MAX_CELLS, 'the size of a text screen');
  const [column, row, start, end] = flags & FLAG.cursor ? [0, 0, 0, 0].map(() => reader.u16()) : [];
  const cursor = flags & FLAG.cursor ? { column: column!, row: row!, start: start!, end: end! } : null;
  require(cursor === null || (cursor.column < columns && cursor.row < rows), 'a cursor');
  const known = before.kind === 'text' ? before : null;
  const looks = flags & FLAG.looks ? readLooks(reader, (flags & FLAG.second) !== 0) : known;
  if (looks === null) throw new Error('the update of a text screen lacks its colors');
  const isSameSize = known?.columns === columns && known.rows === rows;
  const cells = isSameSize ? known!.cells : new Uint16Array(columns * rows);
  const changed: ScreenArea[] = [];
  while (!reader.isAtEnd) {
    const y = reader.u16();
    require(y < rows, 'a row');
    for (let x = 0; x < columns; x++) cells[y * columns + x] = reader.u16();
    changed.push({ x: 0, y, width: columns, height: 1 });
  }
  const blinks = (flags & FLAG.blinks) !== 0;
  const { palette, font } = looks;
  return {
    frame: { kind: 'text', columns, rows, cells, cursor, blinks, palette, font },
    changed: isSameSize ? changed : [{ x: 0, y: 0, width: columns, height: rows }],
    looksChanged: (flags & FLAG.looks) !== 0 || blinks !== known?.blinks,
  };
}

function readLooks(reader: Reader, hasSecond: boolean): TextLooks {
  const palette = new Uint32Array(16);
  for (let index = 0; index < 16; index++) palette[index] = reader.u32() & 0xff_ffff;
  const width = reader.u8();
  const height = reader.u8();
  require((width === 8 || width === 9) && height > 0 && height <= MAX_FONT_HEIGHT, 'a font');
  const glyphs = reader.take(256 * height).slice();
  return {
    palette,
    font: { width, height, glyphs, second: hasSecond ? reader.take(256 * height).slice() : null },
  };
}

function readGraphics(before: ScreenFrame, reader: Reader): UpdatedFrame {
  const width = reader.u16();
  const height = reader.u16();
  require(isPossibleSize(width, height), 'the size of a picture');
  const isSameSize = before.kind === 'graphics' && before.width === width && before.height === height;
  const frame: GraphicsFrame = isSameSize
    ? before
    : { kind: 'graphics', width, height, pixels: new Uint8Array(4 * width * height) };
  const into = new Uint32Array(frame.pixels.buffer, frame.pixels.byteOffset, width * height);
  const tiles = tileCount(width, height);
  const changed: ScreenArea[] = [];
  while (!reader.isAtEnd) {
    const index = reader.u32();
    require(index < tiles, 'a tile');
    const area = tileArea(index, width, height);
    readTile(reader, into, width, area);
    changed.push(area);
  }
  return {
    frame: isSameSize ? { ...frame } : frame,
    changed: isSameSize ? changed : [{ x: 0, y: 0, width, height }],
    looksChanged: false,
  };
}

function readTile(
  reader: Reader,
  into: Uint32Array,
  stride: number,
  { x, y, width, height }: ScreenArea,
): void {
  const kind = reader.u8();
  require(kind <= PLAIN, 'a tile');
  if (kind === PLAIN) {
    for (let row = y; row < y + height; row++)
      for (let at = row * stride + x, end = at + width; at < end; at++) into[at] = reader.color();
    return;
  }
  const colors = new Uint32Array(16);
  const count = reader.u8();
  require(count >= 1 && count <= COLORS_OF_BITS[kind]!, 'the colors of a tile');
  for (let index = 0; index < count; index++) colors[index] = reader.color();
  const bits = BITS[kind]!;
  const mask = 2 ** bits - 1;
  let byte = 0;
  let left = 0;
  for (let row = y; row < y + height; row++) {
    for (let at = row * stride + x, end = at + width; at < end; at++) {
      if (left === 0 && bits > 0) {
        byte = reader.u8();
        left = 8;
      }
      left -= bits;
      into[at] = colors[bits === 0 ? 0 : (byte >>> left) & mask]!;
    }
    if (bits === 0) left = 0;
  }
}

export function isPossibleSize(width: number, height: number): boolean {
  return width > 0 && height > 0 && width <= MAX_SIDE && height <= MAX_SIDE && width * height <= MAX_PIXELS;
}

/** @throws Error */
function require(condition: boolean, what: string): void {
  if (!condition) throw new Error(`${what} received is not valid`);
}

class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  u8(): number {
    this.#need(1);
    return this.#bytes[this.#at++]!;
  }

  u16(): number {
    this.#need(2);
    this.#at += 2;
    return this.#view.getUint16(this.#at - 2, true);
  }

  u32(): number {
    this.#need(4);
    this.#at += 4;
    return this.#view.getUint32(this.#at - 4, true);
  }

  /** 0xRRGGBB */
  color(): number {
    this.#need(3);
    this.#at += 3;
    const bytes = this.#bytes;
    return bytes[this.#at - 3]! | (bytes[this.#at - 2]! << 8) | (bytes[this.#at - 1]! << 16);
  }

  take(length: number): Uint8Array {
    this.#need(length);
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  #need(length: number): void {
    if (this.#at + length > this.#bytes.length) throw new Error('an update of a screen ends too early');
  }
}
