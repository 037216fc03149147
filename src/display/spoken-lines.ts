import { stripVTControlCharacters } from 'node:util';

/** The lines of a picture as they are read out: without what only the eye needs, and without empty ones. */
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
 * What has to be said after a picture that was read out: the lines that were not in it, wherever they stand now, and the
 * one that the cursor has come to.
 */
export function spokenChanges(before: readonly string[], after: readonly string[]): string[] {
  const known = new Set(before);
  const texts = new Set(before.map(line => line.replace(CURSOR, '')));
  return after.filter(line => (CURSOR.test(line) ? !known.has(line) : !texts.has(line)));
}
