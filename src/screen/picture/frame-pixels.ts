import type { ScreenFrame, TextFrame } from '../../devices/display/screen-frame.ts';

/** A picture: 3 bytes per pixel, red, green, blue, row by row without gaps. */
export type Picture = { readonly width: number; readonly height: number; readonly pixels: Uint8Array };

/** Box drawing characters, whose ninth column continues the eighth. */
const BOXES = { first: 0xc0, last: 0xdf } as const;
const SECOND_FONT = 0x08;

/** A frame as a monitor shows it; null if the screen is off. */
export function pictureOfFrame(frame: ScreenFrame): Picture | null {
  switch (frame.kind) {
    case 'off':
      return null;
    case 'text':
      return pictureOfText(frame);
    case 'graphics': {
      const { width, height, pixels } = frame;
      const picture = new Uint8Array(3 * width * height);
      for (let from = 0, to = 0; to < picture.length; from += 4, to += 3) {
        picture[to] = pixels[from + 2]!;
        picture[to + 1] = pixels[from + 1]!;
        picture[to + 2] = pixels[from]!;
      }
      return { width, height, pixels: picture };
    }
  }
}

/** A text mode in the guest's own font, with the cursor and blinking characters visible. */
function pictureOfText(frame: TextFrame): Picture {
  const { columns, rows, font } = frame;
  const width = columns * font.width;
  const height = rows * font.height;
  const pixels = new Uint8Array(3 * width * height);
  const set = (x: number, y: number, color: number) => {
    const at = 3 * (y * width + x);
    pixels[at] = color >> 16;
    pixels[at + 1] = (color >> 8) & 0xff;
    pixels[at + 2] = color & 0xff;
  };
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) drawTextCell(frame, column, row, set);
  }
  return { width, height, pixels };
}

/**
 * Draws one character of a text mode. @param set sets the pixel at `x`, `y` of the whole picture to a color, 0xRRGGBB
 */
export function drawTextCell(
  frame: TextFrame,
  column: number,
  row: number,
  set: (x: number, y: number, color: number) => void,
): void {
  const { columns, cells, palette, blinks, font, cursor } = frame;
  const cell = cells[row * columns + column]!;
  const character = cell & 0xff;
  const attribute = cell >> 8;
  const foreground = palette[attribute & 0x0f]!;
  const background = palette[(attribute >> 4) & (blinks ? 0x07 : 0x0f)]!;
  const glyphs = attribute & SECOND_FONT ? (font.second ?? font.glyphs) : font.glyphs;
  const isBox = character >= BOXES.first && character <= BOXES.last;
  const hasCursor = cursor?.column === column && cursor.row === row;
  for (let y = 0; y < font.height; y++) {
    const bits = glyphs[character * font.height + y] ?? 0;
    const isCursor = hasCursor && y >= cursor.start && y <= cursor.end;
    for (let x = 0; x < font.width; x++) {
      const isSet = x < 8 ? (bits & (0x80 >> x)) !== 0 : isBox && (bits & 1) !== 0;
      set(column * font.width + x, row * font.height + y, isSet || isCursor ? foreground : background);
    }
  }
}
