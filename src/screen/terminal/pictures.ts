import { deflateSync } from 'node:zlib';
import type { GraphicsFrame } from '../../devices/display/screen-frame.ts';
import { fitted, type PixelSize, scaled } from '../picture/scale.ts';

const ESC = '\x1b';
/** Base64 characters in one command of kitty's protocol. */
const CHUNK = 4096;
const IMAGE = 31;

/** The place of a picture on a terminal, in cells. */
export type PicturePlace = {
  readonly column: number;
  readonly row: number;
  readonly columns: number;
  readonly rows: number;
};

/** How a terminal shows pictures. */
export type PictureProtocol = 'kitty' | 'sixel';

/** The cells that a frame occupies, centered. @param cell pixels of one cell */
export function placeOf(frame: PixelSize, columns: number, rows: number, cell: PixelSize): PicturePlace {
  const { width, height } = fitted(frame, { width: columns * cell.width, height: rows * cell.height });
  const size = { columns: Math.ceil(width / cell.width), rows: Math.ceil(height / cell.height) };
  return {
    column: Math.floor((columns - size.columns) / 2),
    row: Math.floor((rows - size.rows) / 2),
    ...size,
  };
}

/** The output that makes a terminal show a frame (kitty's terminal graphics protocol; sixels: DEC STD 070 ch. 9). */
export function pictureOf(
  protocol: PictureProtocol,
  frame: GraphicsFrame,
  place: PicturePlace,
  cell: PixelSize,
): string {
  const to = `${ESC}[${place.row + 1};${place.column + 1}H`;
  const size = fitted(frame, { width: place.columns * cell.width, height: place.rows * cell.height });
  return to + (protocol === 'kitty' ? kitty(frame, place, size) : sixels(frame, size));
}

/** The output that removes the pictures from a terminal. */
export function noPicture(protocol: PictureProtocol): string {
  return protocol === 'kitty' ? noKittyImage(IMAGE) : '';
}

/** The output that removes an image of kitty's protocol, and forgets it. */
export function noKittyImage(id: number): string {
  return `${ESC}_Ga=d,d=I,i=${id},q=2${ESC}\\`;
}

function kitty(frame: GraphicsFrame, place: PicturePlace, size: PixelSize): string {
  // The terminal scales it up itself.
  const { width, height } = size.width < frame.width ? size : frame;
  const { columns, rows } = place;
  return kittyImage(scaled(frame, width, height), { width, height }, { id: IMAGE, columns, rows });
}

/**
 * An image at the cursor, in place of the one that has this number.
 * @param pixels 3 bytes each: red, green, blue
 * @param shown its number, and the cells that it is scaled to
 */
export function kittyImage(
  pixels: Uint8Array,
  { width, height }: PixelSize,
  { id, columns, rows }: { readonly id: number; readonly columns: number; readonly rows: number },
): string {
  const data = deflateSync(pixels, { level: 1 }).toString('base64');
  const control = `a=T,f=24,o=z,s=${width},v=${height},c=${columns},r=${rows},i=${id},p=1,q=2,C=1`;
  const parts: string[] = [];
  for (let at = 0; at < data.length; at += CHUNK) {
    const more = at + CHUNK < data.length ? 1 : 0;
    const keys = at === 0 ? `${control},m=${more}` : `m=${more}`;
    parts.push(`${ESC}_G${keys};${data.slice(at, at + CHUNK)}${ESC}\\`);
  }
  return parts.join('');
}

const LEVELS = 6;
/** Rows in a band of sixels. */
const BAND = 6;

function sixels(frame: GraphicsFrame, { width, height }: PixelSize): string {
  return sixelImage(scaled(frame, width, height), { width, height });
}

/** Sixels at the cursor, in a color cube of 216 colors. @param pixels 3 bytes each: red, green, blue */
export function sixelImage(pixels: Uint8Array, { width, height }: PixelSize): string {
  const numbers = new Uint8Array(width * height);
  const used = new Set<number>();
  for (let index = 0; index < numbers.length; index++) {
    const level = (value: number) => Math.round((value * (LEVELS - 1)) / 255);
    const [red, green, blue] = [pixels[3 * index]!, pixels[3 * index + 1]!, pixels[3 * index + 2]!];
    const number = (level(red) * LEVELS + level(green)) * LEVELS + level(blue);
    numbers[index] = number;
    used.add(number);
  }
  const percent = (level: number) => Math.round((100 * level) / (LEVELS - 1));
  const parts = [`${ESC}P0;1q"1;1;${width};${height}`];
  for (const number of used) {
    const red = Math.floor(number / (LEVELS * LEVELS));
    const green = Math.floor(number / LEVELS) % LEVELS;
    parts.push(`#${number};2;${percent(red)};${percent(green)};${percent(number % LEVELS)}`);
  }
  for (let top = 0; top < height; top += BAND) parts.push(band(numbers, width, height, top), '-');
  parts.push(`${ESC}\\`);
  return parts.join('');
}

function band(numbers: Uint8Array, width: number, height: number, top: number): string {
  const rows = Math.min(BAND, height - top);
  const masks = new Map<number, Uint8Array>();
  for (let row = 0; row < rows; row++) {
    for (let x = 0; x < width; x++) {
      const number = numbers[(top + row) * width + x]!;
      let mask = masks.get(number);
      if (mask === undefined) {
        mask = new Uint8Array(width);
        masks.set(number, mask);
      }
      mask[x]! |= 1 << row;
    }
  }
  return Array.from(masks, ([number, mask]) => `#${number}${runs(mask)}`).join('$');
}

/** Run-length encoding: `!n` and the character. */
function runs(mask: Uint8Array): string {
  let text = '';
  for (let at = 0; at < mask.length; ) {
    let end = at + 1;
    while (end < mask.length && mask[end] === mask[at]) end++;
    const character = String.fromCharCode(0x3f + mask[at]!);
    const length = end - at;
    text += length > 3 ? `!${length}${character}` : character.repeat(length);
    at = end;
  }
  return text;
}
