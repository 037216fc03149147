import type { ScreenArea, ScreenFrame } from '../../devices/display/screen-frame.ts';

/** What a watcher of a screen sees next. */
export type ScreenView = {
  readonly frame: ScreenFrame;
  /** What differs from the frame that the same watcher saw last, without overlaps: all of it when mode or size are others. */
  readonly changed: readonly ScreenArea[];
  /** Of a text mode: the palette, the font or the meaning of attributes is another one, so all of it looks different. */
  readonly looksChanged: boolean;
};

/** How a watcher follows the screen of a VM, also across its ends and starts, and those of its manager. */
export interface ScreenLink {
  /**
   * Resolves at once with what is shown at first, and then as soon as there is something new; with null when the link is closed. Nothing
   * is computed or sent for a watcher that does not wait, so it determines the pace. One call at a time.
   */
  next(): Promise<ScreenView | null>;
  /** Why nothing comes of a VM that runs, for the user; null: nothing keeps it from coming. */
  readonly problem: string | null;
  close(): void;
}
