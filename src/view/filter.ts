import { quantity } from '../text/units.ts';
import { cellText, type Field, fieldNamed } from './list-columns.ts';

/** A row as a filter sees it: put together once, and looked at with each key that is typed. */
export type Searched<Row> = {
  readonly row: Row;
  /** What is in each field, in lower case. */
  readonly texts: readonly string[];
  /** All of them, a line for each. */
  readonly all: string;
};

export function searched<Row>(row: Row, fields: readonly Field<Row>[]): Searched<Row> {
  const texts = fields.map(({ cell }) => (cell === undefined ? '' : cellText(cell(row)).toLowerCase()));
  return { row, texts, all: texts.join('\n') };
}

type Matcher<Row> = (searched: Searched<Row>) => boolean;

/**
 * What a filter lets through: rows that match each of its terms. Upper and lower case are the same.
 *
 * - `text` is in any field: a regular expression, or plain text while it is not a valid one.
 * - `field:text` is in that field; `field=text` is all of it.
 * - `field>number`, `<`, `>=`, `<=` compare: `cpu>50`, `mem>=4G`, `p99>2ms`.
 * - `!` before a term lets through what does not match it.
 * - `"two words"` is one term.
 * - `-f letters`, alone: some field has the letters in this order.
 */
export function rowFilter<Row>(filter: string, fields: readonly Field<Row>[]): Matcher<Row> {
  const fuzzy = /^\s*-f(?:\s+(.*))?$/.exec(filter);
  if (fuzzy) {
    const letters = (fuzzy[1] ?? '').trim().toLowerCase();
    return ({ texts }) => texts.some(text => inOrder(letters, text));
  }
  const matchers = termsOf(filter).map(term => matcherOf(term, fields));
  return row => matchers.every(matches => matches(row));
}

/** Words, and words with blanks between quotation marks. */
function termsOf(filter: string): string[] {
  return filter.match(/(?:"[^"]*"?|[^\s"])+/g) ?? [];
}

const FIELD_TERM = /^([a-z][\w/%-]*?)(!=|>=|<=|[:=<>])(.*)$/i;

function matcherOf<Row>(quoted: string, fields: readonly Field<Row>[]): Matcher<Row> {
  const inverse = quoted.startsWith('!');
  const term = inverse ? quoted.slice(1) : quoted;
  if (inverse) {
    if (term === '') return everything;
    const matches = matcherOf(term, fields);
    return matches === everything ? everything : row => !matches(row);
  }
  const [, name = '', operator = '', value = ''] = FIELD_TERM.exec(term) ?? [];
  const field = fieldNamed(fields, name);
  if (field !== null) return fieldMatcher(field, fields.indexOf(field), operator, unquoted(value));
  const matches = textMatcher(unquoted(term));
  return ({ all }) => matches(all);
}

function fieldMatcher<Row>(field: Field<Row>, at: number, operator: string, value: string): Matcher<Row> {
  // It is still being typed.
  if (value === '') return everything;
  if (operator === ':') {
    const matches = textMatcher(value);
    return ({ texts }) => matches(texts[at]!);
  }
  if (operator === '!=') {
    const matches = fieldMatcher(field, at, '=', value);
    return row => !matches(row);
  }
  const wanted = field.unit === undefined ? null : quantity(value, field.unit);
  if (operator === '=') {
    const text = value.toLowerCase();
    return ({ row, texts }) => texts[at] === text || (wanted !== null && field.value?.(row) === wanted);
  }
  const compare = COMPARE[operator];
  if (wanted === null || compare === undefined) return everything;
  return ({ row }) => {
    const found = field.value?.(row) ?? null;
    return typeof found === 'number' && compare(found, wanted);
  };
}

const COMPARE: Readonly<Record<string, (a: number, b: number) => boolean>> = {
  '>': (a, b) => a > b,
  '<': (a, b) => a < b,
  '>=': (a, b) => a >= b,
  '<=': (a, b) => a <= b,
};

const everything = () => true;

function unquoted(text: string): string {
  return text.replaceAll('"', '');
}

/** Looks for a text among lines in lower case. */
function textMatcher(text: string): (lines: string) => boolean {
  const plain = text.toLowerCase();
  const asPlain = (lines: string) => lines.includes(plain);
  if (!/[\\^$.*+?()[\]{}|]/.test(text)) return asPlain;
  try {
    const pattern = new RegExp(text, 'im');
    return lines => pattern.test(lines);
  } catch {
    return asPlain;
  }
}

function inOrder(letters: string, text: string): boolean {
  let at = 0;
  for (const letter of letters) {
    at = text.indexOf(letter, at) + 1;
    if (at === 0) return false;
  }
  return true;
}
