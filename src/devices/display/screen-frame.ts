import type { Cancel } from '../device.ts';
import type { MonitorSize, ScreenResize } from './monitor-size.ts';

/** What a screen shows. Whoever gets one only reads it: its arrays change with the next. */
export type ScreenFrame = TextFrame | GraphicsFrame | OffFrame;

/** A text mode. */
export type TextFrame = {
  readonly kind: 'text';
  readonly columns: number;
  readonly rows: number;
  /** Row by row: the character in the low byte, a code of the font (usually code page 437), and its attribute in the high one. */
  readonly cells: Uint16Array;
  /** Null: none is shown. */
  readonly cursor: TextCursor | null;
  /** Bit 7 of an attribute has the character blink; else it is the fourth bit of the background color. */
  readonly blinks: boolean;
  /** The 16 colors of attributes, 0xRRGGBB. */
  readonly palette: Uint32Array;
  readonly font: TextFont;
};

export type TextCursor = {
  readonly column: number;
  readonly row: number;
  /** The first and last scan line of the character cell that it covers. */
  readonly start: number;
  readonly end: number;
};

/** The glyphs of a text mode, for pictures. */
export type TextFont = {
  /** Pixels of a character cell: 8 or 9, of which the ninth repeats the eighth for box drawing characters (0xc0-0xdf) and is empty for others. */
  readonly width: number;
  /** 1-32. */
  readonly height: number;
  /** 256 glyphs of `height` bytes, a byte a scan line with the leftmost pixel in bit 7. */
  readonly glyphs: Uint8Array;
  /** Those of characters whose attribute has bit 3 set; null: the same ones. */
  readonly second: Uint8Array | null;
};

/** A graphics mode. */
export type GraphicsFrame = {
  readonly kind: 'graphics';
  readonly width: number;
  readonly height: number;
  /** Row by row without gaps, 4 bytes for each pixel: blue, green, red, and one without a meaning. */
  readonly pixels: Uint8Array;
};

/** Nothing is shown: the screen is blanked, no mode is set, or the VM does not run. */
export type OffFrame = { readonly kind: 'off' };

/** A part of a frame: in characters of a text mode, in pixels of a graphics mode. */
export type ScreenArea = {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
};

/** The version of a screen that a watcher has seen. */
export type ScreenSeen = {
  /** Changes when versions begin anew: 0 is that of no screen. */
  readonly epoch: number;
  readonly version: number;
  /** Of the parts that changed in that version, it has seen those before this one. */
  readonly part: number;
};

/** A watcher that has seen nothing. */
export const NOTHING_SEEN: ScreenSeen = { epoch: 0, version: 0, part: 0 };

/** What a watcher has not seen, encoded (screen-update.ts). Of much, it is the first part, which is no reason to wait. */
export type ScreenNews = { readonly seen: ScreenSeen; readonly update: Uint8Array };

/** The screen of a device. */
export interface ScreenControl {
  /** The text mode of a VGA that a kernel finds which boots without firmware: characters, and the height of one in dots. Absent: none. */
  readonly textMode?: { readonly columns: number; readonly rows: number; readonly fontHeight: number };
  /**
   * Calls back once with what is not in `seen`: at once, or when there is something, and at the latest after a few seconds with null.
   * While nobody waits nothing is computed, and no writes are logged.
   */
  next(seen: ScreenSeen, done: (news: ScreenNews | null) => void): Cancel;
  /** Its monitor prefers this size from now on, which is one that MONITOR_SIDE allows. Absent: it keeps the one that it has. */
  resize?(size: MonitorSize): Exclude<ScreenResize, 'fixed'>;
}
