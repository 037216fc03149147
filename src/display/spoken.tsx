import { Writable } from 'node:stream';
import { render } from 'ink';
import type { ReactNode } from 'react';
import type { Clock } from '../clock.ts';
import type { Size } from '../store/ui-slice.ts';
import { printable } from '../text/printable.ts';
import type { Display } from './display.ts';
import { spokenChanges, spokenLines } from './spoken-lines.ts';

/** Related changes are read out together. */
const SETTLES_MS = 50;
/** Below this width, screens show one thing at a time. */
const COLUMNS = 79;

/** For a screen reader, everything is stacked vertically. */
export function spokenSize({ rows }: Size): Size {
  return { columns: COLUMNS, rows };
}

/**
 * For a screen reader: appends lines to an ordinary terminal. Lines are never moved, erased or repeated; a change in
 * the frame is a new line.
 */
export function openSpoken(
  tree: ReactNode,
  stdin: NodeJS.ReadStream,
  stdout: NodeJS.WriteStream,
  clock: Clock,
): Display {
  let frame: string[] = [];
  let said: readonly string[] = [];
  let callOff: (() => void) | null = null;
  const say = () => {
    callOff = null;
    const lines = spokenChanges(said, frame);
    said = frame;
    if (lines.length > 0) stdout.write(lines.map(line => `${printable(line)}\n`).join(''));
  };
  const frames = new Writable({
    decodeStrings: false,
    write: (chunk: string, _, done) => {
      frame = spokenLines(chunk);
      callOff ??= clock.after(SETTLES_MS, say);
      done();
    },
  });
  const picture = render(tree, {
    stdin,
    stdout: Object.assign(frames, { columns: COLUMNS, rows: 24 }) as unknown as NodeJS.WriteStream,
    // Each frame is written as a whole.
    debug: true,
    exitOnCtrlC: false,
    patchConsole: false,
    isScreenReaderEnabled: false,
  });
  return {
    ended: picture.waitUntilExit(),
    repaint: () => {
      said = [];
      callOff ??= clock.after(SETTLES_MS, say);
    },
    lend: use => use(),
    close: async () => {
      callOff?.();
      picture.unmount();
      await picture.waitUntilExit();
    },
  };
}
