import {
  NOTHING_SEEN,
  type ScreenControl,
  type ScreenFrame,
  type ScreenSeen,
} from '../../src/devices/display/screen-frame.ts';
import { applyUpdate } from '../../src/devices/display/screen-update.ts';

/** Follows the screen of a device in the test's own process, while its clock runs. */
export class ScreenWatcher {
  readonly #screen: ScreenControl;
  readonly #changed: (frame: ScreenFrame) => void;
  #seen: ScreenSeen = NOTHING_SEEN;
  #isClosed = false;
  frame: ScreenFrame = { kind: 'off' };
  /** Total bytes of all updates. */
  bytes = 0;
  updates = 0;

  constructor(screen: ScreenControl, changed: (frame: ScreenFrame) => void = () => {}) {
    this.#screen = screen;
    this.#changed = changed;
    this.#next();
  }

  get text(): string {
    return textOf(this.frame);
  }

  close(): void {
    this.#isClosed = true;
  }

  #next(): void {
    if (this.#isClosed) return;
    this.#screen.next(this.#seen, news => {
      if (news !== null) {
        this.bytes += news.update.length;
        this.updates++;
        this.frame = applyUpdate(this.frame, news.update).frame;
        this.#seen = news.seen;
        this.#changed(this.frame);
      }
      this.#next();
    });
  }
}

/** The lines of a text screen, without trailing spaces; for other screens, what kind they are. */
export function textOf(frame: ScreenFrame): string {
  if (frame.kind !== 'text') return `(${frame.kind})`;
  const { columns, rows, cells } = frame;
  return Array.from({ length: rows }, (_, row) =>
    String.fromCharCode(
      ...cells.subarray(row * columns, (row + 1) * columns).map(cell => cell & 0xff || 0x20),
    ).trimEnd(),
  ).join('\n');
}

/** The color of a pixel of a graphics screen, 0xRRGGBB. */
export function pixelOf(frame: ScreenFrame, x: number, y: number): number {
  if (frame.kind !== 'graphics') throw new Error(`it shows ${frame.kind}`);
  const { pixels, width } = frame;
  return new DataView(pixels.buffer, pixels.byteOffset).getUint32(4 * (y * width + x), true) & 0xff_ffff;
}
