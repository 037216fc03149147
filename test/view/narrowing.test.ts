import { describe, expect, test } from 'vitest';
import { rowFilter, searched } from '../../src/view/filter.ts';
import type { Field } from '../../src/view/list-columns.ts';
import { type Candidate, Narrowing } from '../../src/view/narrowing.ts';
import { Random } from '../support/random.ts';

type Row = {
  readonly name: string;
  readonly state: string;
  readonly cpu: number;
  readonly matches?: boolean;
};

const FIELDS: readonly Field<Row>[] = [
  { key: 'name', cell: ({ name }) => name, value: ({ name }) => name },
  { key: 'state', names: ['status'], cell: ({ state }) => state },
  { key: 'cpu', unit: 'count', cell: ({ cpu }) => String(cpu), value: ({ cpu }) => cpu },
];

/** A few letters, so that they meet often, and all that has a meaning in a filter. */
const PIECES = [...'abİſA1.|([*\\^$-f "!:=><\'', 'state:', 'name=', 'cpu>', 'status:', '!', ' ', ' ', '-f '];

function randomText(random: Random, most: number): string {
  return Array.from({ length: random.below(most) }, () => random.pick([...'abİſA1. -'])).join('');
}

function randomTree(random: Random, count: number): readonly Candidate<Row>[] {
  let depth = 0;
  return Array.from({ length: count }, () => {
    depth = random.below(Math.min(depth + 2, 4));
    const row = { name: randomText(random, 6), state: randomText(random, 4), cpu: random.below(20) };
    const texts = searched(row, FIELDS);
    return { row, depth, searched: random.below(8) === 0 ? null : () => texts as never };
  });
}

/** The rows that a filter lets through, and those above them, without any that was found before. */
function filtered(tree: readonly Candidate<Row>[], text: string): readonly Row[] {
  const filter = rowFilter(text, FIELDS);
  const matches = tree.map(({ searched }) => searched !== null && filter.matches(searched()));
  const below = (at: number) => {
    const end = tree.findIndex((other, index) => index > at && other.depth <= tree[at]!.depth);
    return matches.slice(at + 1, end < 0 ? undefined : end);
  };
  return tree.flatMap(({ row }, at) => {
    if (matches[at]) return row;
    return below(at).some(Boolean) ? { ...row, matches: false } : [];
  });
}

/** A key that types something at some place, or takes something back. */
function edited(random: Random, text: string): string {
  const at = random.below(3) === 0 ? random.below(text.length + 1) : text.length;
  if (random.below(3) === 0) return text.slice(0, Math.max(0, at - 1)) + text.slice(at);
  return text.slice(0, at) + random.pick(PIECES) + text.slice(at);
}

describe('filters that are typed one after another', () => {
  test.each([1, 2, 3, 4, 5, 6, 7, 8])('match the same rows as each filter alone (seed %i)', seed => {
    const random = new Random(seed);
    for (let round = 0; round < 40; round++) {
      const tree = randomTree(random, 40);
      const narrowing = new Narrowing(tree);
      let text = '';
      for (let key = 0; key < 40; key++) {
        text = edited(random, text);
        expect(narrowing.rows(rowFilter(text, FIELDS)), JSON.stringify(text)).toEqual(filtered(tree, text));
      }
    }
  });

  test('check only the remaining rows, and none when a character is deleted', () => {
    let looks = 0;
    const rows: readonly Row[] = [
      { name: 'web-1', state: 'running', cpu: 1 },
      { name: 'web-2', state: 'off', cpu: 0 },
      { name: 'database', state: 'running', cpu: 2 },
    ];
    const narrowing = new Narrowing(
      rows.map(row => {
        const texts = searched(row, FIELDS);
        const look = () => {
          looks++;
          return texts as never;
        };
        return { row, depth: 0, searched: look };
      }),
    );
    const looksFor = (text: string) => {
      looks = 0;
      narrowing.rows(rowFilter(text, FIELDS));
      return looks;
    };
    expect(looksFor('w')).toBe(3);
    expect(looksFor('web')).toBe(2);
    expect(looksFor('web state:')).toBe(0);
    expect(looksFor('web state:off')).toBe(2);
    expect(looksFor('web state:off 2')).toBe(1);
    expect(looksFor('web')).toBe(0);
    // A term with a ! before it lets more through the longer it is.
    expect(looksFor('!w')).toBe(3);
    expect(looksFor('!web-1')).toBe(3);
    // What was text is now about a field.
    expect(looksFor('state')).toBe(3);
    expect(looksFor('state:')).toBe(3);
  });
});

test('a filter narrows another one only if its terms do', () => {
  const narrows = (text: string, other: string) => rowFilter(text, FIELDS).narrows(rowFilter(other, FIELDS));
  expect(narrows('web-1', 'web')).toBe(true);
  expect(narrows('web', 'web-1')).toBe(false);
  expect(narrows('state:run', 'run')).toBe(true);
  expect(narrows('run', 'state:run')).toBe(false);
  expect(narrows('state:run', 'name:run')).toBe(false);
  expect(narrows('-f dbs', '-f db')).toBe(true);
  expect(narrows('-f db', 'db')).toBe(false);
  expect(narrows('web.', 'web')).toBe(false);
  expect(narrows('!web', '!we')).toBe(false);
  expect(narrows('!web cpu>1', '!web')).toBe(true);
});
