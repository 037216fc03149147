import { ScreenCanvas } from '../../src/devices/display/screen-canvas.ts';
import { isAlike, wholeOf } from '../../src/devices/display/screen-changes.ts';
import type {
  GraphicsFrame,
  ScreenArea,
  ScreenFrame,
  ScreenSeen,
  ScreenUpdate,
  TextFrame,
} from '../../src/devices/display/screen-frame.ts';
import type { ScreenLink, ScreenView } from '../../src/engine/screen/screen-link.ts';

/** The 16 colors that a VGA BIOS sets, 0xRRGGBB. */
export const VGA_COLORS = Uint32Array.of(
  ...[0x000000, 0x0000aa, 0x00aa00, 0x00aaaa, 0xaa0000, 0xaa00aa, 0xaa5500, 0xaaaaaa],
  ...[0x555555, 0x5555ff, 0x55ff55, 0x55ffff, 0xff5555, 0xff55ff, 0xffff55, 0xffffff],
);

/** A text frame with lines of ASCII characters, gray on black, in a font whose glyphs are boxes. */
export function textFrame(lines: readonly string[], change: Partial<TextFrame> = {}): TextFrame {
  const { columns = 80, rows = 25 } = change;
  const cells = new Uint16Array(columns * rows).fill(0x0720);
  for (const [row, line] of lines.entries()) {
    for (let column = 0; column < line.length; column++) {
      cells[row * columns + column] = 0x0700 | line.charCodeAt(column);
    }
  }
  const glyphs = new Uint8Array(256 * 16).fill(0x7e);
  glyphs.fill(0, 0x20 * 16, 0x21 * 16);
  const font = { width: 9, height: 16, glyphs, second: null };
  const cursor = { column: 0, row: lines.length, start: 13, end: 14 };
  return { kind: 'text', columns, rows, cells, cursor, blinks: true, palette: VGA_COLORS, font, ...change };
}

/** A graphics frame. @param color of each pixel, 0xRRGGBB */
export function graphicsFrame(
  width: number,
  height: number,
  color: (x: number, y: number) => number,
): GraphicsFrame {
  const pixels = new Uint8Array(4 * width * height);
  const view = new DataView(pixels.buffer);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) view.setUint32(4 * (y * width + x), color(x, y), true);
  }
  return { kind: 'graphics', width, height, pixels };
}

/** The screens of an engine's VMs, with contents set by the test. */
export class FakeScreens {
  readonly #screens = new Map<string, { readonly canvas: ScreenCanvas; waiting: (() => void)[] }>();

  show(id: string, frame: ScreenFrame): void {
    const screen = this.#of(id);
    if (frame.kind === 'text') screen.canvas.text(frame);
    else if (frame.kind === 'off') screen.canvas.off();
    else drawOn(screen.canvas, frame);
    screen.canvas.finish();
    for (const waiting of screen.waiting.splice(0)) waiting();
  }

  async updateSince(id: string, seen: ScreenSeen): Promise<ScreenUpdate> {
    const screen = this.#of(id);
    for (;;) {
      const update = screen.canvas.updateSince(seen);
      if (update !== null) return update;
      await new Promise<void>(resolve => screen.waiting.push(resolve));
    }
  }

  #of(id: string) {
    let screen = this.#screens.get(id);
    if (screen === undefined) {
      screen = { canvas: new ScreenCanvas(), waiting: [] };
      screen.canvas.finish();
      this.#screens.set(id, screen);
    }
    return screen;
  }
}

function drawOn(canvas: ScreenCanvas, { width, height, pixels }: GraphicsFrame): void {
  const colors = new Uint32Array(pixels.buffer, pixels.byteOffset, width * height);
  canvas.graphics(width, height);
  for (let y = 0; y < height; y++) canvas.line(0, y, colors.subarray(y * width, (y + 1) * width), width);
}

/** A VM's screen, with contents set by the test. */
export class FakeScreen implements ScreenLink {
  #frame: ScreenFrame = { kind: 'off' };
  #seen: ScreenFrame | null = null;
  #waiting: ((view: ScreenView | null) => void) | null = null;
  isClosed = false;
  problem: string | null = null;

  /** Whether a client waits for the next frame. */
  get isWatched(): boolean {
    return this.#waiting !== null;
  }

  show(frame: ScreenFrame): void {
    this.#frame = structuredClone(frame);
    this.#answer();
  }

  next(): Promise<ScreenView | null> {
    if (this.isClosed) return Promise.resolve(null);
    return new Promise(resolve => {
      this.#waiting = resolve;
      this.#answer();
    });
  }

  close(): void {
    this.isClosed = true;
    this.#waiting?.(null);
    this.#waiting = null;
  }

  #answer(): void {
    if (this.#waiting === null || this.#frame === this.#seen) return;
    const view = viewOf(this.#seen, this.#frame);
    this.#seen = this.#frame;
    this.#waiting(view);
    this.#waiting = null;
  }
}

function viewOf(before: ScreenFrame | null, frame: ScreenFrame): ScreenView {
  if (before === null || !isAlike(before, frame)) {
    return { frame, changed: wholeOf(frame), looksChanged: true };
  }
  if (frame.kind === 'off') return { frame, changed: [], looksChanged: false };
  if (frame.kind === 'graphics') {
    const { width, height, pixels } = frame;
    const changed = changedRows(height, 4 * width, pixels, (before as typeof frame).pixels);
    return { frame, changed: changed.map(y => ({ x: 0, y, width, height: 1 })), looksChanged: false };
  }
  const { columns, rows, cells } = frame;
  const changed = changedRows(rows, columns, cells, (before as typeof frame).cells);
  const areas: ScreenArea[] = changed.map(y => ({ x: 0, y, width: columns, height: 1 }));
  return { frame, changed: areas, looksChanged: looksDifferent(before as typeof frame, frame) };
}

function changedRows(rows: number, length: number, a: ArrayLike<number>, b: ArrayLike<number>): number[] {
  return Array.from({ length: rows }, (_, row) => row).filter(row => {
    for (let at = row * length; at < (row + 1) * length; at++) if (a[at] !== b[at]) return true;
    return false;
  });
}

/** Whether all of a text frame looks different, even with the same characters. */
function looksDifferent(a: TextFrame, b: TextFrame): boolean {
  return (
    a.blinks !== b.blinks ||
    !isSame(a.palette, b.palette) ||
    a.font.width !== b.font.width ||
    a.font.height !== b.font.height ||
    !isSame(a.font.glyphs, b.font.glyphs) ||
    (a.font.second === null) !== (b.font.second === null) ||
    (a.font.second !== null && !isSame(a.font.second, b.font.second!))
  );
}

function isSame(a: ArrayLike<number>, b: ArrayLike<number>): boolean {
  if (a.length !== b.length) return false;
  for (let index = 0; index < a.length; index++) if (a[index] !== b[index]) return false;
  return true;
}
