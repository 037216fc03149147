import type { DeviceState } from '../../device.ts';
import { bytesOf, DeviceStateError, numberOf } from '../../state.ts';
import { alphaOf, drawLine, isFormat } from './pixels.ts';
import type { Rect } from './protocol.ts';
import type { Resource } from './resource.ts';

/** The width and height of cursors (virtio 1.3 §5.7.6.10). */
export const CURSOR_SIDE = 64;
/**
 * The pointer that the device draws over the picture. Its position is that of its corner, as Linux sets it: the hot
 * spot is for viewers that draw the cursor themselves.
 */
export class Cursor {
  /** The pixels of its image as of when it was set, and their format; null if no cursor is shown. */
  #picture: { readonly format: number; readonly pixels: Uint32Array } | null = null;
  #x = 0;
  #y = 0;
  readonly #line = new Uint32Array(CURSOR_SIDE);

  /** Its area in the picture of its display, which it may exceed; null if it is not shown. */
  get area(): Rect | null {
    if (this.#picture === null) return null;
    return { x: this.#x, y: this.#y, width: CURSOR_SIDE, height: CURSOR_SIDE };
  }

  /** @param resource of 64x64; null to show none */
  set(resource: Resource | null): void {
    this.#picture = resource && { format: resource.format, pixels: resource.pixels.slice() };
  }

  /** Words of the command: a position to the left of or above the picture is negative. */
  move(x: number, y: number): void {
    this.#x = x | 0;
    this.#y = y | 0;
  }

  reset(): void {
    this.set(null);
    this.move(0, 0);
  }

  /** Draws its part of line `y` over the pixels from `x` on. Its colors are premultiplied by their alpha. */
  drawOver(line: Uint32Array, x: number, y: number, width: number): void {
    const { area } = this;
    if (area === null || y < area.y || y >= area.y + CURSOR_SIDE) return;
    const { format, pixels } = this.#picture!;
    const from = CURSOR_SIDE * (y - area.y);
    drawLine(format, pixels, from, this.#line, CURSOR_SIDE);
    const first = Math.max(0, x - area.x);
    const end = Math.min(CURSOR_SIDE, x + width - area.x);
    for (let at = first; at < end; at++) {
      const alpha = alphaOf(format, pixels[from + at]!);
      const to = area.x + at - x;
      if (alpha > 0) line[to] = over(this.#line[at]!, alpha, line[to]!);
    }
  }

  save(): DeviceState {
    const picture = this.#picture;
    return {
      ...{ x: this.#x >>> 0, y: this.#y >>> 0, format: picture?.format ?? 0 },
      pixels: new Uint8Array(picture?.pixels.slice().buffer ?? new ArrayBuffer()),
    };
  }

  /** @throws DeviceStateError */
  load(state: DeviceState): void {
    const [x, y, format] = ['x', 'y', 'format'].map(key => numberOf(state, key, 0xffff_ffff));
    const bytes = bytesOf(state, 'pixels');
    const isPicture = isFormat(format!) && bytes.length === 4 * CURSOR_SIDE ** 2;
    if (!isPicture && (format !== 0 || bytes.length > 0)) throw new DeviceStateError('pixels', 'cursor');
    this.#picture = isPicture ? { format: format!, pixels: new Uint32Array(bytes.slice().buffer) } : null;
    this.move(x!, y!);
  }
}

/** Blends a premultiplied color over another one. */
function over(color: number, alpha: number, under: number): number {
  let blended = 0;
  for (const shift of [0, 8, 16]) {
    const part =
      ((color >>> shift) & 0xff) + Math.round((((under >>> shift) & 0xff) * (0xff - alpha)) / 0xff);
    blended |= Math.min(part, 0xff) << shift;
  }
  return blended;
}
