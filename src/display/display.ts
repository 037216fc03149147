/** Draws the UI on a terminal. */
export interface Display {
  /** Resolves when the display is closed, rejects when it fails. */
  readonly ended: Promise<unknown>;
  /** Redraws everything, assuming nothing about the terminal's contents. */
  repaint(): void;
  /** Lends the terminal to another program. */
  lend(use: () => Promise<void>): Promise<void>;
  /** Removes the UI from the terminal. */
  close(): Promise<void>;
}
