import { type Clock, systemClock } from '../../clock.ts';
import type { ScreenFrame } from '../../devices/display/screen-frame.ts';
import type { LayoutName } from '../../devices/input/layout-names.ts';
import type { ScreenLink } from '../../engine/screen/screen-link.ts';
import { CellGrid } from '../cells/cell-grid.ts';
import { CellWriter } from '../cells/cell-writer.ts';
import type { ColorDepth } from '../cells/colors.ts';
import { drawFrame } from '../cells/draw-frame.ts';
import { struck } from '../keyboard/key-strokes.ts';
import { SPECIAL_CHORDS } from '../keyboard/special-chords.ts';
import { GraphicsSupport } from './graphics-support.ts';
import { noPicture, type PictureProtocol, pictureOf, placeOf } from './pictures.ts';
import { type TerminalKeyEvents, TerminalKeys } from './terminal-keys.ts';
import { GRAPHICS_QUERY, TERMINAL_QUERY, type TerminalReply } from './terminal-replies.ts';

const CSI = '\x1b[';
/** Alternate screen, no wrapping at the right edge, focus events. */
const ENTER = `${CSI}?1049h${CSI}?7l${CSI}?1004h${CSI}?25l`;
const LEAVE = `${CSI}<u${CSI}?1004l${CSI}?7h${CSI}0m${CSI}?25h${CSI}?1049l`;
/** Reports key releases, all keys as escape sequences, and the base layout key. */
const KITTY_KEYBOARD = `${CSI}>15u`;

/** The shortest interval between two frames, and the longest delay of the next frame after a large one. */
const FRAME_MS = 40;
const LONGEST_MS = 500;
/** The long-term limit of output to a terminal, 100 kB/s, so that keys are not stuck behind it on a slow connection. */
const BYTES_PER_MS = 100;
const NOTICE_MS = 3000;

/** The terminal as a session uses it. */
export type SessionTerminal = {
  readonly size: { readonly columns: number; readonly rows: number };
  write(text: string): void;
  /** Resolves when all output has been consumed. */
  drained(): Promise<void>;
};

export type SessionOptions = {
  readonly name: string;
  readonly link: ScreenLink;
  readonly terminal: SessionTerminal;
  readonly depth: ColorDepth;
  readonly ascii: boolean;
  readonly layout: LayoutName;
  /** Null to discard the user's input. */
  readonly input: TerminalKeyEvents['input'] | null;
  /** Saves a picture of the frame. @returns a message for the user */
  readonly screenshot: ((frame: ScreenFrame) => string) | null;
  readonly left: () => void;
  readonly clock?: Clock;
};

/** The screen of a VM on the whole terminal. Ctrl-] leaves, Ctrl-\ opens a menu of keys. */
export class ScreenSession {
  readonly #options: SessionOptions;
  readonly #clock: Clock;
  readonly #writer: CellWriter;
  readonly #keys: TerminalKeys;
  #frame: ScreenFrame = { kind: 'off' };
  #drawnAt = Number.NEGATIVE_INFINITY;
  #lastBytes = 0;
  #drawing: Promise<void> | null = null;
  #isDue = false;
  #closed = false;
  /** The selected entry of the menu; null while it is closed. */
  #menu: number | null = null;
  #notice: string | null = null;
  #cancelNotice: () => void = () => {};
  readonly #graphics = new GraphicsSupport();
  /** The protocol of the picture on the terminal; null if there is none. */
  #shown: PictureProtocol | null = null;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#writer = new CellWriter(options.depth);
    this.#keys = new TerminalKeys(
      options.layout,
      {
        input: events => this.#input(events),
        own: key => (key === 'leave' ? options.left() : this.#toggleMenu()),
        replied: reply => this.#replied(reply),
        unknown: character => this.#say(`the ${options.layout} layout has no ${character}`),
      },
      this.#clock,
    );
  }

  /** Follows the screen until it is closed. */
  async run(): Promise<void> {
    const { terminal, link, name, input } = this.#options;
    terminal.write(ENTER + TERMINAL_QUERY);
    this.#say(`${name}: Ctrl-] leaves, Ctrl-\\ has more keys${input === null ? '; view only' : ''}`);
    for (;;) {
      const view = await link.next();
      if (view === null || this.#closed) return;
      this.#frame = view.frame;
      await this.#draw();
    }
  }

  typed(bytes: Uint8Array): void {
    this.#keys.push(bytes);
  }

  /** The terminal was resized, or its contents were lost. */
  redraw(): void {
    this.#writer.forget();
    void this.#draw();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#cancelNotice();
    this.#keys.end();
    this.#options.link.close();
    this.#options.terminal.write((this.#shown === null ? '' : noPicture(this.#shown)) + LEAVE);
  }

  #input(events: Parameters<TerminalKeyEvents['input']>[0]): void {
    if (this.#menu !== null) this.#menuKeys(events);
    else this.#options.input?.(events);
  }

  #replied(reply: TerminalReply): void {
    const { terminal, depth } = this.#options;
    if (this.#closed) return;
    if (reply.kind === 'keyboard') terminal.write(KITTY_KEYBOARD + (depth === 'none' ? '' : GRAPHICS_QUERY));
    this.#graphics.replied(reply);
    if (this.#protocol !== null && this.#frame.kind === 'graphics') this.redraw();
  }

  /** Null if this terminal only shows cells. */
  get #protocol(): PictureProtocol | null {
    return this.#options.depth === 'none' ? null : this.#graphics.protocol;
  }

  #say(text: string): void {
    this.#notice = text;
    this.#cancelNotice();
    this.#cancelNotice = this.#clock.after(NOTICE_MS, () => {
      this.#notice = null;
      void this.#draw();
    });
    void this.#draw();
  }

  /** Draws the present frame once the last one is old enough and the terminal has consumed it. */
  #draw(): Promise<void> {
    this.#isDue = true;
    this.#drawing ??= this.#drawAll().finally(() => {
      this.#drawing = null;
    });
    return this.#drawing;
  }

  async #drawAll(): Promise<void> {
    while (this.#isDue && !this.#closed) {
      const least = Math.min(LONGEST_MS, Math.max(FRAME_MS, this.#lastBytes / BYTES_PER_MS));
      const wait = this.#drawnAt + least - this.#clock.now();
      if (wait > 0) await new Promise<void>(resolve => this.#clock.after(wait, resolve));
      await this.#options.terminal.drained();
      if (this.#closed) return;
      this.#isDue = false;
      this.#drawnAt = this.#clock.now();
      this.#drawNow();
    }
  }

  #drawNow(): void {
    const { terminal, depth, ascii } = this.#options;
    const { columns, rows } = terminal.size;
    const protocol = this.#menu === null && this.#notice === null ? this.#protocol : null;
    const picture = protocol !== null && this.#frame.kind === 'graphics' ? this.#frame : null;
    if ((picture === null) !== (this.#shown === null)) {
      if (this.#shown !== null) terminal.write(noPicture(this.#shown));
      this.#writer.forget();
    }
    this.#shown = picture === null ? null : protocol;
    const grid =
      picture === null
        ? drawFrame(this.#frame, { columns, rows, color: depth !== 'none', ascii })
        : new CellGrid(columns, rows);
    if (this.#notice !== null) grid.write(0, rows - 1, ` ${this.#notice} `.slice(0, columns));
    if (this.#menu !== null) drawMenu(grid, this.#menu);
    const cells = this.#writer.draw(grid);
    terminal.write(cells);
    this.#lastBytes = cells.length;
    if (picture !== null && protocol !== null) {
      const place = placeOf(picture, columns, rows, this.#graphics.cell!);
      const image = pictureOf(protocol, picture, place, this.#graphics.cell!);
      terminal.write(image);
      this.#lastBytes += image.length;
    }
  }

  #toggleMenu(): void {
    this.#menu = this.#menu === null ? 0 : null;
    void this.#draw();
  }

  #menuKeys(events: Parameters<TerminalKeyEvents['input']>[0]): void {
    for (const event of events) {
      if (event.kind !== 'key' || !event.down || this.#menu === null) continue;
      const action = MENU_KEYS[event.code];
      if (action === 'up') this.#menu = (this.#menu + ENTRIES - 1) % ENTRIES;
      if (action === 'down') this.#menu = (this.#menu + 1) % ENTRIES;
      if (action === 'choose') this.#choose(this.#menu);
      if (action === 'close' || action === 'choose') this.#menu = null;
    }
    void this.#draw();
  }

  #choose(index: number): void {
    const { input, screenshot } = this.#options;
    const special = SPECIAL_CHORDS[index];
    if (special !== undefined) {
      if (input === null) this.#say('this session is view only');
      else input(struck(special.chord));
    } else if (screenshot !== null) {
      try {
        this.#say(screenshot(this.#frame));
      } catch (error) {
        this.#say((error as Error).message);
      }
    }
  }
}

const ENTRIES = SPECIAL_CHORDS.length + 1;
const LABELS = [...SPECIAL_CHORDS.map(({ label }) => label), 'Save a picture of the screen'];

/** By KEY_* code: Esc, Enter, up, down. */
const MENU_KEYS: Readonly<Record<number, 'up' | 'down' | 'choose' | 'close'>> = {
  1: 'close',
  28: 'choose',
  103: 'up',
  108: 'down',
};

/** Draws the menu of keys that a terminal does not send, over the frame. */
function drawMenu(grid: CellGrid, chosen: number): void {
  const title = 'Send keys';
  const inner = Math.max(title.length, ...LABELS.map(label => label.length)) + 4;
  const room = Math.max(1, Math.min(LABELS.length, grid.rows - 2));
  const first = Math.max(0, Math.min(LABELS.length - room, chosen - room + 1));
  const left = Math.max(0, Math.floor((grid.columns - inner) / 2));
  const top = Math.max(0, Math.floor((grid.rows - room - 2) / 2));
  grid.write(left, top, ` ${title}`.padEnd(inner));
  for (let row = 0; row < room; row++) {
    const index = first + row;
    grid.write(left, top + 1 + row, `${index === chosen ? ' > ' : '   '}${LABELS[index]}`.padEnd(inner));
  }
  grid.write(left, top + 1 + room, ' Enter sends, Esc closes'.padEnd(inner).slice(0, inner));
  grid.cursor = null;
}
