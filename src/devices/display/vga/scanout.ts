import type { DeviceMemory, WriteWatch } from '../../device-memory.ts';
import type { ScreenCanvas } from '../screen-canvas.ts';
import type { TextCursor } from '../screen-frame.ts';
import type { ScreenPainter } from '../screen-source.ts';
import { MAX_CELLS, MAX_FONT_HEIGHT } from '../screen-update.ts';
import type { Dispi } from './dispi.ts';
import type { LegacyWindow } from './legacy-window.ts';
import { lineStart, type PictureMode, type PixelKind, pictureMode } from './picture-mode.ts';
import { ATTR, ATTR_MODE, CRTC, CURSOR_OFF, SEQ } from './registers.ts';
import type { VgaRegisters } from './vga-registers.ts';

type Graphics = Extract<PictureMode, { kind: 'graphics' }>;
type Text = Extract<PictureMode, { kind: 'text' }>;

export type ScanoutParts = {
  readonly memory: DeviceMemory;
  readonly registers: VgaRegisters;
  readonly dispi: Dispi;
  readonly window: LegacyWindow;
  /** Counts the written pages of a picture. */
  readonly countPages: (pages: number) => void;
};

const PAGE = 4096;
/** Bytes of a font: 256 characters of 32 lines. */
const FONT_BYTES = 0x2000;

/**
 * Draws what a VGA shows. While a graphics mode is watched, writes to its memory are logged, and only lines that were
 * written are drawn.
 */
export class Scanout implements ScreenPainter {
  readonly #parts: ScanoutParts;
  readonly #bytes: Uint8Array;
  readonly #words: Uint32Array;
  /** The size of memory is a power of two: addresses wrap. */
  readonly #wrap: number;
  #isWatched = false;
  #writes: WriteWatch | null = null;
  #drawnVersion = -1;
  #line = new Uint32Array(0);

  constructor(parts: ScanoutParts) {
    this.#parts = parts;
    const { bytes, size } = parts.memory;
    this.#bytes = bytes;
    this.#words = new Uint32Array(bytes.buffer, bytes.byteOffset, size / 4);
    this.#wrap = size - 1;
  }

  watched(watched: boolean): void {
    this.#isWatched = watched;
    if (!watched) this.#stopLog();
  }

  paint(canvas: ScreenCanvas, all: boolean): void {
    const { registers, dispi } = this.#parts;
    const mode = pictureMode(registers, dispi);
    const isOther = all || registers.pictureVersion !== this.#drawnVersion;
    this.#drawnVersion = registers.pictureVersion;
    if (mode.kind !== 'graphics') this.#stopLog();
    if (mode.kind === 'off') canvas.off();
    else if (mode.kind === 'text') this.#paintText(canvas, mode);
    else this.#paintGraphics(canvas, mode, isOther);
  }

  #stopLog(): void {
    this.#writes?.stop();
    this.#writes = null;
  }

  #paintText(canvas: ScreenCanvas, mode: Text): void {
    const { columns, rows, start, lineBytes } = mode;
    if (columns * rows > MAX_CELLS || columns * rows === 0) {
      canvas.off();
      return;
    }
    this.#parts.window.sync();
    const cells = new Uint16Array(columns * rows);
    const bytes = this.#bytes;
    for (let row = 0, cell = 0; row < rows; row++) {
      for (let at = start + row * lineBytes, end = at + 4 * columns; at < end; at += 4) {
        const from = at & this.#wrap;
        cells[cell++] = bytes[from]! | (bytes[from + 1]! << 8);
      }
    }
    const { attribute, sequencer } = this.#parts.registers;
    const select = sequencer[SEQ.fonts]!;
    const first = this.#font(((select & 3) << 1) | ((select >> 4) & 1), mode.height);
    const second = this.#font(((select >> 1) & 6) | ((select >> 5) & 1), mode.height);
    const isSame = first.every((byte, index) => byte === second[index]);
    canvas.text({
      ...{ columns, rows, cells, cursor: this.#cursor(mode), palette: this.#palette() },
      blinks: (attribute[ATTR.mode]! & ATTR_MODE.blink) !== 0,
      font: { width: mode.width, height: mode.height, glyphs: first, second: isSame ? null : second },
    });
  }

  /** One of the eight fonts in plane 2. */
  #font(index: number, height: number): Uint8Array {
    const glyphs = new Uint8Array(256 * height);
    for (let character = 0, to = 0; character < 256; character++) {
      let from = 4 * (index * FONT_BYTES + character * MAX_FONT_HEIGHT) + 2;
      for (let line = 0; line < height; line++, from += 4) glyphs[to++] = this.#bytes[from]!;
    }
    return glyphs;
  }

  #cursor({ columns, rows, start, lineBytes, height }: Text): TextCursor | null {
    const { crtc } = this.#parts.registers;
    const first = crtc[CRTC.cursorStart]!;
    const last = Math.min(crtc[CRTC.cursorEnd]! & 0x1f, height - 1);
    const address = 4 * (crtc[CRTC.cursorLow]! | (crtc[CRTC.cursorHigh]! << 8)) - start;
    if ((first & CURSOR_OFF) !== 0 || (first & 0x1f) > last || address < 0 || lineBytes === 0) return null;
    const row = Math.floor(address / lineBytes);
    const column = (address % lineBytes) / 4;
    if (row >= rows || column >= columns) return null;
    return { column, row, start: first & 0x1f, end: last };
  }

  #paintGraphics(canvas: ScreenCanvas, mode: Graphics, isOther: boolean): void {
    const { memory, countPages } = this.#parts;
    // What was written before the log began is in no log.
    let whole = isOther || this.#writes === null;
    if (this.#writes === null && this.#isWatched) this.#writes = memory.watch();
    const written = this.#writes?.collect() ?? [];
    whole = canvas.graphics(mode.width, mode.height) || whole;
    if (written.length > 0)
      countPages(written.reduce((sum, { start, end }) => sum + (end - start) / PAGE, 0));
    if (!whole && written.length === 0) return;
    if (this.#line.length < mode.width + 8) this.#line = new Uint32Array(mode.width + 8);
    const palette = mode.pixels === 'index' ? this.#colors() : this.#palette();
    const rowBytes = bytesOfLine(mode);
    for (let y = 0; y < mode.height; y++) {
      const at = lineStart(mode, y);
      if (!whole && !isTouched(written, at & this.#wrap, rowBytes)) continue;
      this.#drawLine(mode.pixels, at, mode.width + mode.panning, palette);
      const { panning } = mode;
      canvas.line(0, y, panning === 0 ? this.#line : this.#line.subarray(panning), mode.width);
    }
  }

  #drawLine(pixels: PixelKind, at: number, width: number, palette: Uint32Array): void {
    const into = this.#line;
    const bytes = this.#bytes;
    const wrap = this.#wrap;
    switch (pixels) {
      case 'rgb32': {
        // Lines of this kind start at word boundaries.
        const mask = wrap >>> 2;
        for (let x = 0, from = at >>> 2; x < width; x++, from++)
          into[x] = this.#words[from & mask]! & 0xff_ffff;
        return;
      }
      case 'rgb24':
        for (let x = 0; x < width; x++, at += 3)
          into[x] = bytes[at & wrap]! | (bytes[(at + 1) & wrap]! << 8) | (bytes[(at + 2) & wrap]! << 16);
        return;
      case 'rgb16':
        for (let x = 0; x < width; x++, at += 2) {
          const color = bytes[at & wrap]! | (bytes[(at + 1) & wrap]! << 8);
          into[x] = (bits5(color >> 11) << 16) | (bits6((color >> 5) & 0x3f) << 8) | bits5(color & 0x1f);
        }
        return;
      case 'rgb15':
        for (let x = 0; x < width; x++, at += 2) {
          const color = bytes[at & wrap]! | (bytes[(at + 1) & wrap]! << 8);
          into[x] =
            (bits5((color >> 10) & 0x1f) << 16) | (bits5((color >> 5) & 0x1f) << 8) | bits5(color & 0x1f);
        }
        return;
      case 'index':
        for (let x = 0; x < width; x++, at++) into[x] = palette[bytes[at & wrap]!]!;
        return;
      case 'planar':
        this.#drawPlanar(at, width, palette);
        return;
      case 'cga':
        this.#drawCga(at, width, palette);
    }
  }

  /** Eight pixels per word, one bit per plane each. */
  #drawPlanar(at: number, width: number, palette: Uint32Array): void {
    const into = this.#line;
    const mask = this.#wrap >>> 2;
    for (let x = 0, from = at >>> 2; x < width; from++) {
      const word = this.#words[from & mask]!;
      for (let bit = 7; bit >= 0 && x < width; bit--, x++) {
        const index =
          ((word >>> bit) & 1) |
          ((word >>> (bit + 7)) & 2) |
          ((word >>> (bit + 14)) & 4) |
          ((word >>> (bit + 21)) & 8);
        into[x] = palette[index]!;
      }
    }
  }

  /** Eight pixels per word: four of two bits in planes 0 and 2, then four in planes 1 and 3. */
  #drawCga(at: number, width: number, palette: Uint32Array): void {
    const into = this.#line;
    const mask = this.#wrap >>> 2;
    for (let x = 0, from = at >>> 2; x < width; from++) {
      const word = this.#words[from & mask]!;
      for (const half of [0, 8]) {
        for (let bit = 6; bit >= 0; bit -= 2) {
          into[x++] = palette[((word >>> (half + bit)) & 3) | (((word >>> (half + 16 + bit)) & 3) << 2)]!;
        }
      }
    }
  }

  /** The colors of the 16 attributes. */
  #palette(): Uint32Array {
    const { attribute } = this.#parts.registers;
    const colors = this.#colors();
    const planes = attribute[ATTR.planes]! & 0xf;
    const select = attribute[ATTR.colorSelect]!;
    const isSplit = (attribute[ATTR.mode]! & ATTR_MODE.p54Select) !== 0;
    return Uint32Array.from({ length: 16 }, (_, index) => {
      const entry = attribute[index & planes]!;
      const color = isSplit ? ((select & 0xf) << 4) | (entry & 0xf) : ((select & 0xc) << 4) | (entry & 0x3f);
      return colors[color]!;
    });
  }

  /** The colors of the DAC, 0xRRGGBB. */
  #colors(): Uint32Array {
    const { registers, dispi } = this.#parts;
    const { dac, dacMask } = registers;
    const part = dispi.dac8 ? (value: number) => value : (value: number) => bits6(value & 0x3f);
    return Uint32Array.from({ length: 256 }, (_, index) => {
      const at = 3 * (index & dacMask);
      return (part(dac[at]!) << 16) | (part(dac[at + 1]!) << 8) | part(dac[at + 2]!);
    });
  }
}

/** The bytes of a line, including those that panning shifts in. */
function bytesOfLine({ pixels, width, panning }: Graphics): number {
  switch (pixels) {
    case 'rgb32':
      return 4 * width;
    case 'rgb24':
      return 3 * width;
    case 'rgb16':
    case 'rgb15':
      return 2 * width;
    case 'index':
      return width;
    case 'planar':
    case 'cga':
      return 4 * Math.ceil((width + panning) / 8);
  }
}

function isTouched(
  written: readonly { readonly start: number; readonly end: number }[],
  from: number,
  bytes: number,
): boolean {
  for (const { start, end } of written) {
    if (start >= from + bytes) return false;
    if (end > from) return true;
  }
  return false;
}

function bits5(value: number): number {
  return (value << 3) | (value >> 2);
}

function bits6(value: number): number {
  return (value << 2) | (value >> 4);
}
