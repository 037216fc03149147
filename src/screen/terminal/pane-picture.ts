import type { Clock } from '../../clock.ts';
import type { GraphicsFrame, ScreenArea, ScreenFrame } from '../../devices/display/screen-frame.ts';
import { scaledLines } from '../picture/scale.ts';
import { GraphicsSupport } from './graphics-support.ts';
import { kittyImage, noKittyImage, type PicturePlace, placeOf, sixelImage } from './pictures.ts';
import { CELL_QUERY, GRAPHICS_QUERY, TERMINAL_QUERY, type TerminalReply } from './terminal-replies.ts';
import { TouchedRows } from './touched-rows.ts';

const ESC = '\x1b';
const CSI = '\x1b[';
/** An atomic update (DEC private mode 2026) that leaves the cursor and the colors as they are. */
const BEGIN = `${CSI}?2026h${ESC}7`;
const END = `${ESC}8${CSI}?2026l`;
/** Kitty's number of the image in the first line of the terminal; the others follow. */
const FIRST_IMAGE = 7600;
/** The shortest time from a change to its picture: Ink writes a frame up to 33 ms later. */
const DRAW_MS = 40;
/** A picture is written in parts that take the terminal about this long. */
const PART_MS = 250;

export type PanePictureOptions = {
  readonly write: (text: string) => void;
  /** Resolves when the terminal has taken what was written. */
  readonly drained: () => Promise<void>;
  /** Lines of the terminal. */
  readonly rows: () => number;
  /** What the terminal may be sent in the long run. */
  readonly bytesPerMs: number;
  readonly clock: Clock;
  /** The terminal has said something about its graphics. */
  readonly learned: () => void;
  /** Everything has to be drawn again. */
  readonly repaint: () => void;
};

/** A picture that is on the terminal: its cells, and what each of their lines shows. */
type Drawn = { readonly place: PicturePlace; readonly lines: (Uint8Array | null)[] };

/**
 * The screen of a VM as a picture over cells that Ink keeps blank: each line of cells is an image of its own, by kitty's graphics protocol
 * or by sixels, so that only lines that change are sent. Cells win over sixels, so a line that Ink writes to gets its image again.
 */
export class PanePicture {
  readonly #options: PanePictureOptions;
  readonly #support = new GraphicsSupport();
  readonly #touched = new TouchedRows();
  #isAsked = false;
  /** Cells that the picture may have; null: none is to be shown. */
  #area: PicturePlace | null = null;
  #frame: GraphicsFrame | null = null;
  #drawn: Drawn | null = null;
  /** Lines of the picture that may be wrong on the terminal. */
  readonly #due = new Set<number>();
  #isLent = false;
  #notBefore = 0;
  #timer: (() => void) | null = null;

  constructor(options: PanePictureOptions) {
    this.#options = options;
  }

  /** Whether the terminal is known to show pictures. */
  get isSupported(): boolean {
    return this.#support.protocol !== null;
  }

  /** Asks the terminal for its graphics, the first time. */
  ask(): void {
    if (this.#isAsked) return;
    this.#isAsked = true;
    this.#options.write(TERMINAL_QUERY);
  }

  /** The terminal has another size; its font may be another one, too. */
  resized(): void {
    if (this.#isAsked) this.#options.write(CELL_QUERY);
  }

  replied(reply: TerminalReply): void {
    const before = JSON.stringify([this.#support.protocol, this.#support.cell]);
    this.#support.replied(reply);
    if (reply.kind === 'keyboard' && this.#isAsked) this.#options.write(GRAPHICS_QUERY);
    if (JSON.stringify([this.#support.protocol, this.#support.cell]) === before) return;
    this.#options.learned();
    this.#schedule();
  }

  /** What the VM's screen shows now. */
  frameChanged(frame: ScreenFrame, changed: readonly ScreenArea[]): void {
    const before = this.#frame;
    this.#frame = frame.kind === 'graphics' ? frame : null;
    if (this.#frame === null) return;
    if (before?.width === this.#frame.width && before.height === this.#frame.height) {
      for (const area of changed) this.#sourceChanged(this.#frame, area);
    } else this.#allDue();
    this.#schedule();
  }

  /** Shows the picture over these cells, which are blank. */
  show(area: PicturePlace): void {
    if (this.#area !== null && !isSamePlace(this.#area, area)) {
      // What Ink has drawn in the meantime may be where the picture was.
      this.hide();
      this.#options.repaint();
    }
    this.#area = area;
    this.#schedule();
  }

  /** To be called before Ink draws anything else where the picture is. */
  hide(): void {
    this.#erase();
    this.#area = null;
  }

  /** Ink has written this. */
  frameWritten(text: string): void {
    const rows = this.#touched.written(text, this.#options.rows());
    const drawn = this.#drawn;
    if (drawn === null) return;
    if (rows !== null && this.#support.protocol === 'kitty') return;
    for (let line = 0; line < drawn.place.rows; line++) {
      if (rows === null || rows.has(drawn.place.row + line)) this.#forgetLine(drawn, line);
    }
    this.#schedule();
  }

  /** Keeps away from the terminal while something else uses it. */
  async lent(use: () => Promise<void>): Promise<void> {
    this.#erase();
    this.#isLent = true;
    try {
      await use();
    } finally {
      this.#isLent = false;
      this.#schedule();
    }
  }

  close(): void {
    this.hide();
    this.#timer?.();
    this.#timer = null;
  }

  /** The lines of the picture that show this part of the frame. */
  #sourceChanged({ height }: GraphicsFrame, { y, height: lines }: ScreenArea): void {
    if (this.#drawn === null) return;
    const { rows } = this.#drawn.place;
    const last = Math.min(rows - 1, Math.floor(((y + lines) * rows) / height));
    for (let line = Math.max(0, Math.floor((y * rows) / height) - 1); line <= last; line++)
      this.#due.add(line);
  }

  #allDue(): void {
    for (let line = 0; line < (this.#drawn?.place.rows ?? 0); line++) this.#due.add(line);
  }

  #forgetLine(drawn: Drawn, line: number): void {
    drawn.lines[line] = null;
    this.#due.add(line);
  }

  #schedule(): void {
    if (this.#timer !== null || this.#area === null || this.#frame === null || this.#isLent) return;
    const { clock } = this.#options;
    this.#timer = clock.after(Math.max(DRAW_MS, this.#notBefore - clock.now()), () => void this.#draw());
  }

  async #draw(): Promise<void> {
    // Until the timer is gone, nothing else is scheduled.
    await this.#options.drained();
    this.#timer = null;
    const { protocol, cell } = this.#support;
    if (this.#area === null || this.#frame === null || this.#isLent || protocol === null) return;
    const within = placeOf(this.#frame, this.#area.columns, this.#area.rows, cell!);
    const place = {
      ...within,
      column: within.column + this.#area.column,
      row: within.row + this.#area.row,
    };
    if (this.#drawn === null || !isSamePlace(this.#drawn.place, place)) {
      this.#erase();
      this.#drawn = { place, lines: Array.from({ length: place.rows }, () => null) };
      this.#allDue();
    }
    this.#drawLines(this.#frame, this.#drawn);
  }

  #drawLines(frame: GraphicsFrame, drawn: Drawn): void {
    const { write, bytesPerMs, clock } = this.#options;
    let text = '';
    for (const line of [...this.#due].sort((a, b) => a - b)) {
      if (text.length > PART_MS * bytesPerMs) break;
      this.#due.delete(line);
      text += this.#line(frame, drawn, line);
    }
    if (text !== '') write(BEGIN + text + END);
    this.#notBefore = clock.now() + text.length / bytesPerMs;
    if (this.#due.size > 0) this.#schedule();
  }

  /** What draws a line of the picture; nothing where the terminal shows it already. */
  #line(frame: GraphicsFrame, { place, lines }: Drawn, line: number): string {
    const { protocol, cell } = this.#support;
    const { columns, rows, column, row } = place;
    const full = { width: columns * cell!.width, height: cell!.height };
    // Kitty scales it up itself.
    const { width, height } =
      protocol === 'kitty'
        ? {
            width: Math.min(full.width, frame.width),
            height: Math.min(full.height, Math.ceil(frame.height / rows)),
          }
        : full;
    const pixels = scaledLines(frame, width, rows * height, line * height, height);
    const before = lines[line];
    if (before && Buffer.compare(before, pixels) === 0) return '';
    lines[line] = pixels;
    const to = `${CSI}${row + line + 1};${column + 1}H`;
    const size = { width, height };
    return protocol === 'kitty'
      ? to + kittyImage(pixels, size, { id: FIRST_IMAGE + row + line, columns, rows: 1 })
      : to + sixelImage(pixels, size);
  }

  /** Leaves blank cells, as Ink has them. */
  #erase(): void {
    const drawn = this.#drawn;
    this.#drawn = null;
    this.#due.clear();
    if (drawn === null) return;
    const { column, row, columns, rows } = drawn.place;
    const blank = (line: number) => `${CSI}${row + line + 1};${column + 1}H${CSI}0m${' '.repeat(columns)}`;
    const isKitty = this.#support.protocol === 'kitty';
    const lines = Array.from({ length: rows }, (_, line) =>
      isKitty ? noKittyImage(FIRST_IMAGE + row + line) : blank(line),
    );
    this.#options.write(BEGIN + lines.join('') + END);
  }
}

function isSamePlace(a: PicturePlace, b: PicturePlace): boolean {
  return a.column === b.column && a.row === b.row && a.columns === b.columns && a.rows === b.rows;
}
