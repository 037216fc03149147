import { describe, expect, test } from 'vitest';
import { bytes, percent } from '../../src/text/units.ts';
import { rowFilter, searched } from '../../src/view/filter.ts';
import type { Field } from '../../src/view/list-columns.ts';

type Vm = {
  readonly name: string;
  readonly state: string;
  readonly cpu: number | null;
  readonly memory: number;
};

const FIELDS: readonly Field<Vm>[] = [
  { key: 'name', cell: ({ name }) => name, value: ({ name }) => name },
  { key: 'state', names: ['status'], cell: ({ state }) => ({ text: state, token: 'status.ok' }) },
  {
    key: 'cpu',
    unit: 'share',
    cell: ({ cpu }) => (cpu === null ? '' : percent(cpu)),
    value: ({ cpu }) => cpu,
  },
  { key: 'mem', unit: 'bytes', cell: ({ memory }) => bytes(memory), value: ({ memory }) => memory },
  // What has no cell is no field to look in.
  { key: 'graph' },
];

const VMS: readonly Vm[] = [
  { name: 'web-1', state: 'running', cpu: 0.37, memory: 2 ** 30 },
  { name: 'web-2', state: 'paused', cpu: 0, memory: 4 * 2 ** 30 },
  { name: 'database', state: 'running', cpu: 2.5, memory: 64 * 2 ** 30 },
  { name: 'build[1]', state: 'off', cpu: null, memory: 512 * 2 ** 20 },
];

function matches(filter: string): string {
  const lets = rowFilter(filter, FIELDS).matches;
  return VMS.filter(vm => lets(searched(vm, FIELDS)))
    .map(({ name }) => name)
    .join(' ');
}

const ALL = 'web-1 web-2 database build[1]';

describe('a filter', () => {
  test.each([
    ['', ALL],
    ['   ', ALL],
    ['WEB', 'web-1 web-2'],
    ['^web-[2-9]$', 'web-2'],
    ['^running$', 'web-1 database'],
    ['paused', 'web-2'],
    ['64G', 'database'],
    ['[1', 'build[1]'],
    ['web|data', 'web-1 web-2 database'],
  ])('searches %j in every field', (filter, expected) => {
    expect(matches(filter)).toBe(expected);
  });

  test.each([
    ['web running', 'web-1'],
    ['running web', 'web-1'],
    ['state:run name:data', 'database'],
    ['"web-1"', 'web-1'],
    ['"web-1 running"', ''],
    ['name:"build[1', 'build[1]'],
  ])('of several terms, %j, matches if each does', (filter, expected) => {
    expect(matches(filter)).toBe(expected);
  });

  test.each([
    ['!web', 'database build[1]'],
    ['!', ALL],
    ['!web !off', 'database'],
    ['!state:running', 'web-2 build[1]'],
    ['state!=running', 'web-2 build[1]'],
  ])('%j inverts the match', (filter, expected) => {
    expect(matches(filter)).toBe(expected);
  });

  test.each([
    ['state:running', 'web-1 database'],
    ['STATUS:Running', 'web-1 database'],
    ['name:running', ''],
    ['state:^(off|paused)$', 'web-2 build[1]'],
    ['state=run', ''],
    ['state=off', 'build[1]'],
    ['state:', ALL],
    ['!state:', ALL],
    ['cpu>', ALL],
  ])('%j applies to one field', (filter, expected) => {
    expect(matches(filter)).toBe(expected);
  });

  test.each([
    ['cpu>50', 'database'],
    ['cpu>=37%', 'web-1 database'],
    ['cpu<1', 'web-2'],
    ['cpu<=0', 'web-2'],
    ['cpu=37%', 'web-1'],
    ['mem>=4G', 'web-2 database'],
    ['mem<1g', 'build[1]'],
    ['mem=4G', 'web-2'],
    ['mem>4G cpu>100', 'database'],
    ['!mem>=4G', 'web-1 build[1]'],
    ['mem>much', ALL],
  ])('%j compares numbers', (filter, expected) => {
    expect(matches(filter)).toBe(expected);
  });

  test('treats a colon after an unknown field as text', () => {
    const addresses: readonly Field<string>[] = [{ key: 'address', cell: address => address }];
    const lets = rowFilter('3b:00', addresses).matches;
    expect(['0000:3b:00.0', '0000:3c:00.0'].map(row => lets(searched(row, addresses)))).toEqual([
      true,
      false,
    ]);
  });

  test.each([
    ['-f dbs', 'database'],
    // Not across fields: web-1 is running.
    ['-f 1r', ''],
    ['-f sad', ''],
    ['-f pud', 'web-2'],
    ['-f zz', ''],
    ['-f', ALL],
    ['-f ', ALL],
  ])('%j matches fields with these letters in this order', (filter, expected) => {
    expect(matches(filter)).toBe(expected);
  });
});
