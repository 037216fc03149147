import { expect, test } from 'vitest';
import { KEY } from '../../../src/devices/input/key-codes.ts';
import { LAYOUT_NAMES } from '../../../src/devices/input/layout-names.ts';
import { parseChord } from '../../../src/screen/keyboard/chord.ts';
import { chordsOf, struck } from '../../../src/screen/keyboard/key-strokes.ts';
import { LAYOUTS } from '../../../src/screen/keyboard/layouts.ts';

const ASCII = Array.from({ length: 95 }, (_, index) => String.fromCharCode(0x20 + index));

test.each(LAYOUT_NAMES)('layout %s has a character for each key of its rows, and types ASCII', name => {
  const { plain, shift, ...rest } = LAYOUTS[name];
  const altgr = 'altgr' in rest ? [rest.altgr] : [];
  for (const rows of [plain, shift, ...altgr])
    expect(rows.map(row => Array.from(row).length)).toEqual([13, 12, 12, 11]);
  // No key of an Italian keyboard has a backquote or a tilde, nor braces that all systems agree upon.
  const without = name === 'it' ? ['`', '{', '}', '~'] : [];
  expect(ASCII.filter(character => chordsOf(name, character) === null)).toEqual(without);
});

test('characters become the keys of a layout', () => {
  expect(chordsOf('us', 'A')).toEqual([[KEY.leftshift, KEY.a]]);
  expect(chordsOf('us', '<')).toEqual([[KEY.leftshift, KEY.comma]]);
  expect(chordsOf('uk', '\\')).toEqual([[KEY['102nd']]]);
  expect(chordsOf('de', 'z')).toEqual([[KEY.y]]);
  expect(chordsOf('de', '@')).toEqual([[KEY.rightalt, KEY.q]]);
  expect(chordsOf('de', '^')).toEqual([[KEY.grave], [KEY.space]]);
  expect(chordsOf('fr', '1')).toEqual([[KEY.leftshift, KEY['1']]]);
  expect(chordsOf('fr', '\\')).toEqual([[KEY.rightalt, KEY['8']]]);
  expect(chordsOf('us', '\n')).toEqual([[KEY.enter]]);
  expect(chordsOf('us', 'é')).toBeNull();
  expect(struck([KEY.leftshift, KEY.a])).toEqual([
    { kind: 'key', code: KEY.leftshift, down: true },
    { kind: 'key', code: KEY.a, down: true },
    { kind: 'key', code: KEY.a, down: false },
    { kind: 'key', code: KEY.leftshift, down: false },
  ]);
});

test('chords have the names of QEMU, and those of Linux', () => {
  expect(parseChord('ctrl-alt-delete')).toEqual([KEY.leftctrl, KEY.leftalt, KEY.delete]);
  expect(parseChord('ctrl--')).toEqual([KEY.leftctrl, KEY.minus]);
  expect(parseChord('-')).toEqual([KEY.minus]);
  expect(parseChord('KEY_RIGHTALT-KEY_F12')).toEqual([KEY.rightalt, KEY.f12]);
  expect(() => parseChord('ctrl-alt-delte')).toThrow('there is no key "delte"; did you mean delete?');
  expect(() => parseChord('ctrl-')).toThrow('"ctrl-" has an empty key name');
});
