import type { ScreenFrame } from '../devices/display/screen-frame.ts';
import type { ScreenView } from '../engine/screen/screen-link.ts';
import { drawTextCell } from '../screen/picture/frame-pixels.ts';

/** The side of a square of pixels that is sent as a whole if any of them changed. */
export const TILE = 64;

/** The size of the picture while the screen is off. */
const OFF = { width: 640, height: 400 } as const;

/** A part of the picture that changed. */
export type Rectangle = {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
};

/** The picture of a screen, 4 bytes per pixel: blue, green, red, 0. */
export class Framebuffer {
  #width: number = OFF.width;
  #height: number = OFF.height;
  #pixels = new Uint8Array(4 * OFF.width * OFF.height);
  /** Where the text mode's cursor was drawn. */
  #cursor: { readonly column: number; readonly row: number } | null = null;

  get width(): number {
    return this.#width;
  }

  get height(): number {
    return this.#height;
  }

  get pixels(): Uint8Array {
    return this.#pixels;
  }

  /** Takes over the screen's present contents. @returns what changed; null if the size did, and so everything */
  update({ frame, changed, looksChanged }: ScreenView): Rectangle[] | null {
    const size = sizeOf(frame);
    const isOther = size.width !== this.#width || size.height !== this.#height;
    if (isOther) {
      this.#width = size.width;
      this.#height = size.height;
      this.#pixels = new Uint8Array(4 * size.width * size.height);
    }
    const whole = { x: 0, y: 0, ...size };
    switch (frame.kind) {
      case 'off':
        this.#pixels.fill(0);
        this.#cursor = null;
        return isOther ? null : [whole];
      case 'graphics':
        this.#cursor = null;
        for (const area of isOther ? [whole] : changed) this.#copy(frame.pixels, area);
        return isOther ? null : [...changed];
      case 'text': {
        const { columns, rows, font } = frame;
        const all = isOther || looksChanged;
        const areas = all ? [{ x: 0, y: 0, width: columns, height: rows }] : [...changed];
        // The cursor has left one cell and entered another, although their contents stay.
        for (const at of [this.#cursor, frame.cursor]) {
          if (at !== null && at.column < columns && at.row < rows)
            areas.push({ x: at.column, y: at.row, width: 1, height: 1 });
        }
        this.#cursor = frame.cursor;
        for (const area of areas) {
          for (let row = area.y; row < area.y + area.height; row++) {
            for (let column = area.x; column < area.x + area.width; column++)
              drawTextCell(frame, column, row, (x, y, color) => this.#set(x, y, color));
          }
        }
        if (isOther) return null;
        return areas.map(area => ({
          ...{ x: area.x * font.width, y: area.y * font.height },
          ...{ width: area.width * font.width, height: area.height * font.height },
        }));
      }
    }
  }

  #set(x: number, y: number, color: number): void {
    const at = 4 * (y * this.#width + x);
    this.#pixels[at] = color & 0xff;
    this.#pixels[at + 1] = (color >> 8) & 0xff;
    this.#pixels[at + 2] = color >> 16;
  }

  #copy(pixels: Uint8Array, { x, y, width, height }: Rectangle): void {
    for (let row = y; row < y + height; row++) {
      const at = 4 * (row * this.#width + x);
      this.#pixels.set(pixels.subarray(at, at + 4 * width), at);
    }
  }
}

function sizeOf(frame: ScreenFrame): { readonly width: number; readonly height: number } {
  switch (frame.kind) {
    case 'off':
      return OFF;
    case 'graphics':
      return { width: frame.width, height: frame.height };
    case 'text':
      return { width: frame.columns * frame.font.width, height: frame.rows * frame.font.height };
  }
}

/** The tiles of a picture that have yet to be sent to a client. */
export class DirtyTiles {
  #columns = 0;
  #rows = 0;
  #dirty = new Uint8Array(0);
  #count = 0;

  /** Marks a whole picture of this size. */
  all({ width, height }: { readonly width: number; readonly height: number }): void {
    this.#columns = Math.ceil(width / TILE);
    this.#rows = Math.ceil(height / TILE);
    this.#count = this.#columns * this.#rows;
    this.#dirty = new Uint8Array(this.#count).fill(1);
  }

  add({ x, y, width, height }: Rectangle): void {
    const right = Math.min(this.#columns, Math.ceil((x + width) / TILE));
    const bottom = Math.min(this.#rows, Math.ceil((y + height) / TILE));
    for (let row = Math.floor(y / TILE); row < bottom; row++) {
      for (let column = Math.floor(x / TILE); column < right; column++) {
        const at = row * this.#columns + column;
        this.#count += 1 - this.#dirty[at]!;
        this.#dirty[at] = 1;
      }
    }
  }

  get isEmpty(): boolean {
    return this.#count === 0;
  }

  /** Takes all, as rectangles: runs of tiles in a row. */
  take({ width, height }: { readonly width: number; readonly height: number }): Rectangle[] {
    const found: Rectangle[] = [];
    for (let row = 0; row < this.#rows; row++) {
      for (let column = 0; column < this.#columns; column++) {
        if (this.#dirty[row * this.#columns + column] === 0) continue;
        let end = column;
        while (end < this.#columns && this.#dirty[row * this.#columns + end] === 1) end++;
        const [x, y] = [column * TILE, row * TILE];
        const right = Math.min(width, end * TILE);
        found.push({ x, y, width: right - x, height: Math.min(height - y, TILE) });
        column = end;
      }
    }
    this.#dirty.fill(0);
    this.#count = 0;
    return found;
  }
}
