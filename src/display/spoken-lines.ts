import { stripVTControlCharacters } from 'node:util';

/** The lines of a frame to read out: without visual decoration, and without empty lines. */
export function spokenLines(frame: string): string[] {
  return stripVTControlCharacters(frame)
    .split('\n')
    .map(line =>
      line
        .trim()
        .replace(/ {2,}/g, ', ')
        .replace(/^>,? ?/, '> '),
    )
    .filter(line => /[\p{L}\p{N}]/u.test(line));
}

const CURSOR = /^> /;

/**
 * What to read out after the previous frame: lines that were not in it, wherever they are now, and the line that the
 * cursor has moved to.
 */
export function spokenChanges(before: readonly string[], after: readonly string[]): string[] {
  const known = new Set(before);
  const texts = new Set(before.map(line => line.replace(CURSOR, '')));
  return after.filter(line => (CURSOR.test(line) ? !known.has(line) : !texts.has(line)));
}
