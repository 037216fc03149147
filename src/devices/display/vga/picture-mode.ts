import type { Dispi } from './dispi.ts';
import { ATTR_VIDEO, CLOCKING, CRTC, GFX, GFX_MISC, GFX_MODE, SCAN, SEQ } from './registers.ts';
import type { VgaRegisters } from './vga-registers.ts';

/** How a pixel is stored: a bit in each plane, two bits in two planes, an index, or a color. */
export type PixelKind = 'planar' | 'cga' | 'index' | 'rgb15' | 'rgb16' | 'rgb24' | 'rgb32';

/** How the registers interpret memory. Offsets and sizes are bytes of memory, over all four planes. */
export type PictureMode =
  | { readonly kind: 'off' }
  | {
      readonly kind: 'text';
      readonly columns: number;
      readonly rows: number;
      readonly start: number;
      readonly lineBytes: number;
      /** The size of a character, in dots and lines. */
      readonly width: 8 | 9;
      readonly height: number;
    }
  | {
      readonly kind: 'graphics';
      readonly pixels: PixelKind;
      readonly width: number;
      readonly height: number;
      readonly start: number;
      readonly lineBytes: number;
      /** The first line that restarts at the beginning of memory. */
      readonly splitAt: number;
      /** Address bits that are replaced by the line number in CGA and Hercules modes. */
      readonly interleave: 0 | 1 | 2 | 3;
      /** The number of pixels by which lines are shifted to the left. */
      readonly panning: number;
    };

/** The current mode. */
export function pictureMode(registers: VgaRegisters, dispi: Dispi): PictureMode {
  const { sequencer, graphics, attribute, crtc, attributeIndex } = registers;
  const isBlank =
    (attributeIndex & ATTR_VIDEO) === 0 || (sequencer[SEQ.clocking]! & CLOCKING.screenOff) !== 0;
  if (isBlank) return { kind: 'off' };
  const vbe = dispi.mode;
  if (vbe !== null) {
    const { width, height, bitsPerPixel, start, lineBytes } = vbe;
    const pixels = VBE_PIXELS[bitsPerPixel]!;
    return {
      ...{ kind: 'graphics', pixels, width, height, start, lineBytes },
      ...{ splitAt: Number.POSITIVE_INFINITY, interleave: 0, panning: 0 },
    };
  }
  const overflow = crtc[CRTC.overflow]!;
  const scan = crtc[CRTC.maximumScanLine]!;
  const lines = 1 + crtc[CRTC.verticalDisplayEnd]! + ((overflow & 0x02) << 7) + ((overflow & 0x40) << 3);
  const characters = crtc[CRTC.horizontalDisplayEnd]! + 1;
  const start = 4 * (crtc[CRTC.startLow]! | (crtc[CRTC.startHigh]! << 8));
  const lineBytes = 8 * crtc[CRTC.offset]!;
  const doubled = (scan & SCAN.doubled) !== 0 ? 2 : 1;
  const height = (scan & SCAN.lines) + 1;
  if ((graphics[GFX.misc]! & GFX_MISC.graphics) === 0) {
    const width = (sequencer[SEQ.clocking]! & CLOCKING.eightDots) !== 0 ? 8 : 9;
    const rows = Math.floor(lines / (height * doubled));
    return { kind: 'text', columns: characters, rows, start, lineBytes, width, height };
  }
  const shift = (graphics[GFX.mode]! & GFX_MODE.shift) >> 5;
  const pixels = shift === 0 ? 'planar' : shift === 1 ? 'cga' : 'index';
  const mode = crtc[CRTC.mode]!;
  const interleave = (((mode & 1) === 0 ? 1 : 0) | ((mode & 2) === 0 ? 2 : 0)) as 0 | 1 | 2 | 3;
  // The row counter selects among interleaved lines, rather than repeating one.
  const repeats =
    doubled * (interleave === 0 ? height : Math.max(1, Math.floor(height / (interleave === 3 ? 4 : 2))));
  const compare = crtc[CRTC.lineCompare]! + ((overflow & 0x10) << 4) + ((scan & SCAN.lineCompare9) << 3);
  return {
    kind: 'graphics',
    pixels,
    width: characters * (pixels === 'index' ? 4 : 8),
    height: Math.max(1, Math.floor(lines / repeats)),
    start,
    lineBytes,
    splitAt: Math.floor(compare / repeats) + 1,
    interleave,
    panning: pixels === 'planar' ? attribute[0x13]! & 7 : 0,
  };
}

const VBE_PIXELS: Readonly<Record<number, PixelKind>> = {
  4: 'planar',
  8: 'index',
  15: 'rgb15',
  16: 'rgb16',
  24: 'rgb24',
  32: 'rgb32',
};

/** Where a line of a graphics mode starts. */
export function lineStart(mode: Extract<PictureMode, { kind: 'graphics' }>, y: number): number {
  const { start, lineBytes, splitAt, interleave } = mode;
  const [from, row] = y < splitAt ? [start, y] : [0, y - splitAt];
  if (interleave === 0) return from + row * lineBytes;
  // Bits 13 and 14 of an address in a plane, or bit 14 alone, come from the row.
  const banks = interleave === 3 ? 4 : 2;
  const bank = row % banks;
  const first = (interleave & 1) !== 0 ? (bank & 1) << 13 : 0;
  const second = (interleave & 2) !== 0 ? ((interleave === 3 ? bank >> 1 : bank) & 1) << 14 : 0;
  return from + Math.floor(row / banks) * lineBytes + 4 * (first + second);
}
