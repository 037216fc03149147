import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const source = join(import.meta.dirname, '../src');

/** Arithmetic with the time of day, which an administrator or NTP may set by an hour or by years. */
const ARITHMETIC = /Date\.now\(\) *[-+<>]|(?:[-+<]|(?<!=)>)=? *Date\.now\(\)/;

/** Comparisons with times that other processes or an earlier boot have recorded: no monotonic clock spans these. */
const BETWEEN_PROCESSES = [
  'commands/manager/status.ts',
  'files/replace-file.ts',
  'manager/running-record.ts',
];

test('durations and deadlines are measured with a clock that is never set', () => {
  const files = readdirSync(source, { recursive: true, encoding: 'utf8' }).filter(path =>
    /\.tsx?$/.test(path),
  );
  const found = files.filter(path => ARITHMETIC.test(readFileSync(join(source, path), 'utf8')));
  expect(found.sort()).toEqual(BETWEEN_PROCESSES);
});
