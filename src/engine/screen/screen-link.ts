import type { ScreenArea, ScreenFrame } from '../../devices/display/screen-frame.ts';

/** What a watcher of a screen sees next. */
export type ScreenView = {
  readonly frame: ScreenFrame;
  /**
   * What differs from the frame that this watcher saw last, without overlaps: everything if the mode or size changed.
   */
  readonly changed: readonly ScreenArea[];
  /** In a text mode: the palette, the font or the meaning of attributes changed, so everything looks different. */
  readonly looksChanged: boolean;
};

/** How a watcher follows the screen of a VM, across restarts of the VM and the manager. */
export interface ScreenLink {
  /**
   * Resolves immediately with the present frame on the first call, and from then on as soon as something has changed;
   * with null when the link is closed. Nothing is computed or sent unless a call waits, so the watcher sets the pace.
   * One call at a time.
   */
  next(): Promise<ScreenView | null>;
  /** Why a running VM's screen cannot be shown, for the user; null if it can. */
  readonly problem: string | null;
  close(): void;
}
