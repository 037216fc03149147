import type { ScreenCanvas } from '../../display/screen-canvas.ts';
import type { ScreenPainter } from '../../display/screen-source.ts';
import { isPossibleSize } from '../../display/screen-update.ts';
import type { Cursor } from './cursor.ts';
import { drawLine } from './pixels.ts';
import { type Rect, shared } from './protocol.ts';
import type { Resource } from './resource.ts';

/** With more rectangles than this, everything is drawn. */
const MOST_RECTS = 64;

/** What a display shows: a part of a resource. */
export type Scanout = { readonly resource: Resource; readonly rect: Rect };

/** Draws a GPU's display: the parts that the driver has flushed, with its cursor over them. */
export class GpuPicture implements ScreenPainter {
  readonly #cursor: Cursor;
  #scanout: Scanout | null = null;
  #isWatched = false;
  /** Damaged parts, in pixels of the display; null for all of it. */
  #damage: Rect[] | null = null;
  #line = new Uint32Array(0);

  constructor(cursor: Cursor) {
    this.#cursor = cursor;
  }

  get scanout(): Scanout | null {
    return this.#scanout;
  }

  /** Null to show nothing. */
  show(scanout: Scanout | null): void {
    this.#scanout = scanout;
    this.#damage = null;
  }

  /** A part of a resource has changed. */
  flush(resource: Resource, rect: Rect): void {
    const scanout = this.#scanout;
    if (scanout?.resource !== resource) return;
    const part = shared(rect, scanout.rect);
    if (part !== null) this.#damaged({ ...part, x: part.x - scanout.rect.x, y: part.y - scanout.rect.y });
  }

  /** Changes the cursor. */
  changeCursor(change: () => void): void {
    const before = this.#cursor.area;
    change();
    for (const area of [before, this.#cursor.area]) if (area !== null) this.#damaged(area);
  }

  watched(watched: boolean): void {
    this.#isWatched = watched;
    this.#damage = null;
  }

  paint(canvas: ScreenCanvas, all: boolean): void {
    if (this.#scanout === null || !isPossibleSize(this.#scanout.rect.width, this.#scanout.rect.height)) {
      canvas.off();
      return;
    }
    const { width, height } = this.#scanout.rect;
    const whole = { x: 0, y: 0, width, height };
    const isNew = canvas.graphics(width, height);
    const parts = isNew || all || this.#damage === null ? [whole] : this.#damage;
    this.#damage = [];
    for (const part of parts) {
      const visible = shared(part, whole);
      if (visible !== null) this.#draw(canvas, this.#scanout, visible);
    }
  }

  #damaged(rect: Rect): void {
    if (!this.#isWatched || this.#damage === null) return;
    if (this.#damage.length < MOST_RECTS) this.#damage.push(rect);
    else this.#damage = null;
  }

  #draw(canvas: ScreenCanvas, { resource, rect }: Scanout, { x, y, width, height }: Rect): void {
    if (this.#line.length < width) this.#line = new Uint32Array(width);
    for (let row = y; row < y + height; row++) {
      const at = (rect.y + row) * resource.width + rect.x + x;
      drawLine(resource.format, resource.pixels, at, this.#line, width);
      this.#cursor.drawOver(this.#line, x, row, width);
      canvas.line(x, row, this.#line, width);
    }
  }
}
