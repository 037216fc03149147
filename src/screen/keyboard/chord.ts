import { KEY_NAMES } from '../../devices/input/key-codes.ts';
import { likely } from '../../text/nearest.ts';
import type { Chord } from './key-strokes.ts';

/** More than a keyboard reports at a time. */
const KEYS_MAX = 16;

/**
 * Parses keys that are pressed together, in the syntax of QEMU's `sendkey`: `ctrl-alt-delete`. Names from
 * linux/input-event-codes.h are accepted, too: `KEY_LEFTCTRL-KEY_C`.
 * @throws with a sentence for the user
 */
export function parseChord(text: string): Chord {
  const names = text.split('-');
  // The last one may be the minus key itself, as in ctrl--.
  if (text === '-' || text.endsWith('--')) names.splice(-2, 2, 'minus');
  if (names.length > KEYS_MAX) throw new Error(`"${text}" has more than ${KEYS_MAX} keys`);
  return names.map(name => keyOf(name, text));
}

function keyOf(given: string, text: string): number {
  const name = given.toLowerCase().replace(/^key_/, '');
  const key = KEY_NAMES.get(name);
  if (key !== undefined) return key;
  const meant = likely(name, [...KEY_NAMES.keys()]);
  const hint = meant === null ? '' : `; did you mean ${meant}?`;
  throw new Error(
    given === ''
      ? `"${text}" has an empty key name: expected keys joined by "-", such as ctrl-alt-delete`
      : `there is no key "${given}"${hint}`,
  );
}
