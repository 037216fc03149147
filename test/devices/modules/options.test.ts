import { expect, test } from 'vitest';
import { type OptionSpecs, readOptions } from '../../../src/devices/modules/options.ts';

const SPECS = {
  count: { kind: 'number', min: 1, max: 8, default: 2, description: 'how many' },
  room: { kind: 'size', max: 2 ** 20, default: 4096, description: 'how large' },
  fast: { kind: 'boolean', default: false, description: 'whether it is fast' },
  label: { kind: 'text', description: 'what it is called' },
  mode: { kind: 'choice', values: ['edge', 'level'], default: 'edge', description: 'how it interrupts' },
} as const satisfies OptionSpecs;

const read = (entry: Record<string, unknown>) => readOptions(SPECS, { label: 'x', ...entry });

test('options have their defaults, as text from a command line or typed from a definition', () => {
  expect(read({})).toEqual({ count: 2, room: 4096, fast: false, label: 'x', mode: 'edge' });
  const given = { count: '0x8', room: '64K', fast: 'on', label: 'y', mode: 'level' };
  const values = { count: 8, room: 65536, fast: true, label: 'y', mode: 'level' };
  expect(read(given)).toEqual(values);
  expect(read(values)).toEqual(values);
  // A bare number counts bytes.
  expect(read({ room: '512' })).toMatchObject({ room: 512 });
});

test.each([
  [{ count: 9 }, 'option "count" takes a whole number, at least 1, at most 8, not 9'],
  [{ count: 'many' }, 'option "count" takes a whole number, at least 1, at most 8, not "many"'],
  [{ count: true }, 'option "count" takes a whole number, at least 1, at most 8, not true'],
  [{ count: 1.5 }, 'option "count" takes a whole number, at least 1, at most 8, not 1.5'],
  [{ count: '1e3' }, 'option "count" takes a whole number'],
  [
    { room: '2M' },
    'option "room" takes a size such as 64K, or a number of bytes, at least 0, at most 1048576',
  ],
  [{ room: 'big' }, 'not "big"'],
  [{ fast: 'maybe' }, 'option "fast" takes on or off, not "maybe"'],
  [{ mode: 'pulse' }, 'option "mode" takes edge or level, not "pulse"'],
  [{ label: undefined }, 'option "label" is missing: what it is called'],
  [{ speed: 1 }, 'there is no option "speed": it has count, room, fast, label, mode'],
])('%j is rejected', (entry, message) => {
  expect(() => read(entry)).toThrow(message);
});

test('inherited property names are not options', () => {
  expect(() => readOptions({}, { constructor: 1 })).toThrow('there is no option "constructor": it has none');
});
