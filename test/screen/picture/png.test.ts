import { expect, test } from 'vitest';
import { pictureOfFrame } from '../../../src/screen/picture/frame-pixels.ts';
import { png } from '../../../src/screen/picture/png.ts';
import { graphicsFrame, textFrame } from '../../support/fake-screen.ts';
import { pngPixels } from '../../support/png-pixels.ts';

test('a graphics mode is saved unchanged', () => {
  const picture = pictureOfFrame(graphicsFrame(7, 5, (x, y) => 0x100000 * x + 0x33 * y));
  const { width, height, color } = pngPixels(png(picture!));
  expect([width, height]).toEqual([7, 5]);
  expect([color(0, 0), color(6, 0), color(3, 4)]).toEqual([0, 0x600000, 0x3000cc]);
});

test("a text mode is drawn in the guest's own font, with its cursor", () => {
  const { width, height, color } = pngPixels(png(pictureOfFrame(textFrame(['A']))!));
  expect([width, height]).toEqual([720, 400]);
  // A box, as all glyphs of this font are.
  expect([color(0, 0), color(1, 0), color(6, 15), color(7, 0), color(8, 0)]).toEqual([
    0, 0xaaaaaa, 0xaaaaaa, 0, 0,
  ]);
  expect([color(9, 0), color(4, 16 + 13), color(4, 16 + 12)]).toEqual([0, 0xaaaaaa, 0]);
});

test('a screen that is off has no picture', () => {
  expect(pictureOfFrame({ kind: 'off' })).toBeNull();
});
