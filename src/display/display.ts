import type { ReactNode } from 'react';
import type { Size } from '../store/ui-slice.ts';

/** What shows the UI on a terminal. */
export interface Display {
  /** Resolves, or rejects, when it can show nothing more. */
  readonly ended: Promise<unknown>;
  /** Shows all of it anew, trusting nothing that is on the terminal. */
  repaint(): void;
  /** Leaves the terminal to something else for a while. */
  lend(use: () => Promise<void>): Promise<void>;
  /** Takes it off the terminal. */
  close(): Promise<void>;
}

export type OpenDisplay = (tree: ReactNode, stdout: NodeJS.WriteStream) => Display;

/** The cells that a display fills on a terminal of this size. */
export type Fit = (terminal: Size) => Size;
