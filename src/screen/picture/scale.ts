import type { GraphicsFrame } from '../../devices/display/screen-frame.ts';

export type PixelSize = { readonly width: number; readonly height: number };

/** The largest size with the same aspect ratio that fits into the room; at least 1 by 1. */
export function fitted(size: PixelSize, room: PixelSize): PixelSize {
  const factor = Math.min(room.width / size.width, room.height / size.height);
  return {
    width: Math.max(1, Math.min(room.width, Math.round(size.width * factor))),
    height: Math.max(1, Math.min(room.height, Math.round(size.height * factor))),
  };
}

/** The frame in another size, 3 bytes per pixel, red, green, blue; averaged where it shrinks. */
export function scaled(frame: GraphicsFrame, toWidth: number, toHeight: number): Uint8Array {
  return scaledLines(frame, toWidth, toHeight, 0, toHeight);
}

/** Some lines of the frame in another size: `lines` of them, the first one being `from`. */
export function scaledLines(
  { width, height, pixels }: GraphicsFrame,
  toWidth: number,
  toHeight: number,
  from: number,
  lines: number,
): Uint8Array {
  const result = new Uint8Array(3 * toWidth * lines);
  for (let y = from, to = 0; y < from + lines; y++) {
    const top = Math.floor((y * height) / toHeight);
    const bottom = Math.max(top + 1, Math.floor(((y + 1) * height) / toHeight));
    for (let x = 0; x < toWidth; x++, to += 3) {
      const left = Math.floor((x * width) / toWidth);
      const right = Math.max(left + 1, Math.floor(((x + 1) * width) / toWidth));
      let red = 0;
      let green = 0;
      let blue = 0;
      for (let row = top; row < bottom; row++) {
        for (let at = 4 * (row * width + left), end = 4 * (row * width + right); at < end; at += 4) {
          blue += pixels[at]!;
          green += pixels[at + 1]!;
          red += pixels[at + 2]!;
        }
      }
      const count = (bottom - top) * (right - left);
      result[to] = red / count;
      result[to + 1] = green / count;
      result[to + 2] = blue / count;
    }
  }
  return result;
}
