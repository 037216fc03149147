import { crc32, inflateSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { pictureOfFrame } from '../../../src/screen/picture/frame-pixels.ts';
import { png } from '../../../src/screen/picture/png.ts';
import { graphicsFrame, textFrame } from '../../support/fake-screen.ts';

/** Decodes what `png` writes. */
function decoded(file: Buffer) {
  expect(file.subarray(0, 8).toString('latin1')).toBe('\x89PNG\r\n\x1a\n');
  const chunks = new Map<string, Buffer>();
  for (let at = 8; at < file.length; ) {
    const length = file.readUInt32BE(at);
    const body = file.subarray(at + 4, at + 8 + length);
    expect(file.readUInt32BE(at + 8 + length)).toBe(crc32(body));
    chunks.set(body.toString('latin1', 0, 4), body.subarray(4));
    at += 12 + length;
  }
  const header = chunks.get('IHDR')!;
  const [width, height] = [header.readUInt32BE(0), header.readUInt32BE(4)];
  const rows = inflateSync(chunks.get('IDAT')!);
  const pixels = Buffer.alloc(3 * width * height);
  for (let y = 0; y < height; y++) {
    expect(rows[y * (1 + 3 * width)]).toBe(2);
    for (let x = 0; x < 3 * width; x++) {
      const above = y === 0 ? 0 : pixels[(y - 1) * 3 * width + x]!;
      pixels[y * 3 * width + x] = rows[y * (1 + 3 * width) + 1 + x]! + above;
    }
  }
  const color = (x: number, y: number) => pixels.readUIntBE(3 * (y * width + x), 3);
  return { width, height, color };
}

test('a graphics mode is saved as it is', () => {
  const picture = pictureOfFrame(graphicsFrame(7, 5, (x, y) => 0x100000 * x + 0x33 * y));
  const { width, height, color } = decoded(png(picture!));
  expect([width, height]).toEqual([7, 5]);
  expect([color(0, 0), color(6, 0), color(3, 4)]).toEqual([0, 0x600000, 0x3000cc]);
});

test("a text mode is drawn in the guest's own font, with its cursor", () => {
  const { width, height, color } = decoded(png(pictureOfFrame(textFrame(['A']))!));
  expect([width, height]).toEqual([720, 400]);
  // A box, as all glyphs of this font are.
  expect([color(0, 0), color(1, 0), color(6, 15), color(7, 0), color(8, 0)]).toEqual([
    0, 0xaaaaaa, 0xaaaaaa, 0, 0,
  ]);
  expect([color(9, 0), color(4, 16 + 13), color(4, 16 + 12)]).toEqual([0, 0xaaaaaa, 0]);
});

test('there is no picture of a screen that is off', () => {
  expect(pictureOfFrame({ kind: 'off' })).toBeNull();
});
