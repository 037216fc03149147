import { Writable } from 'node:stream';
import { render } from 'ink';
import type { ReactNode } from 'react';
import type { Clock } from '../clock.ts';
import type { Size } from '../store/ui-slice.ts';
import { printable } from '../text/printable.ts';
import type { Display } from './display.ts';
import { spokenChanges, spokenLines } from './spoken-lines.ts';

/** Several changes that belong together are said at once. */
const SETTLES_MS = 50;
/** Below this, screens show one thing at a time. */
const COLUMNS = 79;

/** A screen reader has one thing below the other. */
export function spokenSize({ rows }: Size): Size {
  return { columns: COLUMNS, rows };
}

/**
 * For a screen reader: lines on an ordinary terminal, one after the other. Nothing that has been said is moved, erased or
 * said again; what changes in the picture is a new line.
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
    // Each picture is written as a whole.
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
