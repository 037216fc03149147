import type { ReactNode } from 'react';
import type { Size } from '../store/ui-slice.ts';

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

export type OpenDisplay = (tree: ReactNode, stdout: NodeJS.WriteStream) => Display;

/** The cells that a display fills on a terminal of this size. */
export type Fit = (terminal: Size) => Size;
