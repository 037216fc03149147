import type { InputEvent } from '../../devices/input/input-event.ts';
import { KEY } from '../../devices/input/key-codes.ts';
import type { LayoutName } from '../../devices/input/layout-names.ts';
import { LAYOUTS, type LayoutData, type LayoutRows } from './layouts.ts';

/** Keys pressed together, in this order, and released in reverse. */
export type Chord = readonly number[];

/** The keys described by LayoutRows. */
const ROWS: readonly (readonly number[])[] = [
  [KEY.grave, ...range(KEY['1'], KEY.equal)],
  range(KEY.q, KEY.rightbrace),
  [...range(KEY.a, KEY.apostrophe), KEY.backslash],
  [KEY['102nd'], ...range(KEY.z, KEY.slash)],
];

const CONTROL: Readonly<Record<string, number>> = {
  '\n': KEY.enter,
  '\r': KEY.enter,
  '\t': KEY.tab,
  '\b': KEY.backspace,
  '\x7f': KEY.backspace,
  '\x1b': KEY.esc,
  ' ': KEY.space,
};

const maps = new Map<LayoutName, ReadonlyMap<string, readonly Chord[]>>();

/** The chords that type a character; null if the layout has none. */
export function chordsOf(layout: LayoutName, character: string): readonly Chord[] | null {
  const key = CONTROL[character];
  if (key !== undefined) return [[key]];
  let map = maps.get(layout);
  if (map === undefined) {
    map = mapOf(LAYOUTS[layout]);
    maps.set(layout, map);
  }
  return map.get(character) ?? null;
}

function mapOf(layout: LayoutData): ReadonlyMap<string, readonly Chord[]> {
  const { plain, shift, altgr, dead = '' } = layout;
  const map = new Map<string, readonly Chord[]>();
  const add = (rows: LayoutRows, modifiers: Chord, canBeDead: boolean) => {
    for (const [row, text] of rows.entries()) {
      for (const [column, character] of Array.from(text).entries()) {
        const chord = [...modifiers, ROWS[row]![column]!];
        // Space turns a dead key into the character itself.
        const chords = canBeDead && dead.includes(character) ? [chord, [KEY.space]] : [chord];
        // The first single chord wins: on a French keyboard, the plain ^ is dead, and the one with AltGr is not.
        const known = map.get(character);
        if (character !== ' ' && (known === undefined || known.length > chords.length))
          map.set(character, chords);
      }
    }
  };
  // The US layout has < and > on a key that few keyboards have: list other keys for them first.
  const keys: readonly [LayoutRows, Chord, boolean][] = [
    [plain, [], true],
    [shift, [KEY.leftshift], true],
    ...(altgr ? [[altgr, [KEY.rightalt], false] as [LayoutRows, Chord, boolean]] : []),
  ];
  for (const [rows, ...rest] of keys) add(withoutExtra(rows), ...rest);
  for (const [rows, ...rest] of keys) add(rows, ...rest);
  return map;
}

/** Without the key that 101-key keyboards lack. */
function withoutExtra([first, second, third, fourth]: LayoutRows): LayoutRows {
  return [first, second, third, ` ${Array.from(fourth).slice(1).join('')}`];
}

/** Presses a chord. */
export function pressed(chord: Chord): InputEvent[] {
  return chord.map(code => ({ kind: 'key', code, down: true }));
}

/** Releases a chord. */
export function released(chord: Chord): InputEvent[] {
  return chord.toReversed().map(code => ({ kind: 'key', code, down: false }));
}

/** Presses and releases a chord. */
export function struck(chord: Chord): InputEvent[] {
  return [...pressed(chord), ...released(chord)];
}

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}
