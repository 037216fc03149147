import type { Cancel } from '../device.ts';
import type { MonitorSize, ScreenResize } from './monitor-size.ts';

/** What a screen shows. Frames are read-only to their receivers: the arrays change with the next frame. */
export type ScreenFrame = TextFrame | GraphicsFrame | OffFrame;

/** A text mode. */
export type TextFrame = {
  readonly kind: 'text';
  readonly columns: number;
  readonly rows: number;
  /**
   * Row by row: the character in the low byte, a code of the font (usually code page 437), and its attribute in the
   * high one.
   */
  readonly cells: Uint16Array;
  /** Null if none is shown. */
  readonly cursor: TextCursor | null;
  /** Whether bit 7 of an attribute makes the character blink; if not, it is the fourth bit of the background color. */
  readonly blinks: boolean;
  /** The 16 colors of attributes, 0xRRGGBB. */
  readonly palette: Uint32Array;
  readonly font: TextFont;
};

export type TextCursor = {
  readonly column: number;
  readonly row: number;
  /** The first and last scan line of the character cell that the cursor covers. */
  readonly start: number;
  readonly end: number;
};

/** The glyphs of a text mode, for rendering it as a picture. */
export type TextFont = {
  /**
   * Pixels of a character cell: 8 or 9, of which the ninth repeats the eighth for box drawing characters (0xc0-0xdf)
   * and is empty for others.
   */
  readonly width: number;
  /** 1-32. */
  readonly height: number;
  /** 256 glyphs of `height` bytes, a byte a scan line with the leftmost pixel in bit 7. */
  readonly glyphs: Uint8Array;
  /** The glyphs of characters whose attribute has bit 3 set; null if they are the same. */
  readonly second: Uint8Array | null;
};

/** A graphics mode. */
export type GraphicsFrame = {
  readonly kind: 'graphics';
  readonly width: number;
  readonly height: number;
  /** Row by row without gaps, 4 bytes per pixel: blue, green, red, unused. */
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
  /** Changes when versions start over; 0 is the epoch of no screen. */
  readonly epoch: number;
  readonly version: number;
  /** Of the parts that changed in that version, those before this one have been seen. */
  readonly part: number;
};

/** A watcher that has seen nothing. */
export const NOTHING_SEEN: ScreenSeen = { epoch: 0, version: 0, part: 0 };

/**
 * What a watcher has not seen, encoded (screen-update.ts). A large update is split: this is its first part, and the
 * rest follows without waiting.
 */
export type ScreenUpdate = { readonly seen: ScreenSeen; readonly update: Uint8Array };

/** The screen of a device. */
export interface ScreenControl {
  /**
   * The text mode of the VGA as found by a kernel that boots without firmware: columns and rows in characters, and the
   * height of a character in dots. Absent if there is none.
   */
  readonly textMode?: { readonly columns: number; readonly rows: number; readonly fontHeight: number };
  /**
   * Calls back once with what is not in `seen`: immediately, or as soon as there is something, or with null after a few
   * seconds. While no call waits, nothing is drawn, and no writes are logged.
   */
  next(seen: ScreenSeen, done: (update: ScreenUpdate | null) => void): Cancel;
  /** Sets the size that its monitor prefers, within MONITOR_SIDE. Absent if its size is fixed. */
  resize?(size: MonitorSize): Exclude<ScreenResize, 'fixed'>;
}
