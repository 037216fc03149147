import { quantity } from '../text/units.ts';
import { cellText, type Field, fieldNamed } from './list-columns.ts';

/** A row prepared for filtering: built once, and searched with each key typed. */
export type Searched<Row> = {
  readonly row: Row;
  /** The text of each field, in lower case. */
  readonly texts: readonly string[];
  /** All of them, a line for each. */
  readonly all: string;
};

export function searched<Row>(row: Row, fields: readonly Field<Row>[]): Searched<Row> {
  const texts = fields.map(({ cell }) => (cell === undefined ? '' : cellText(cell(row)).toLowerCase()));
  return { row, texts, all: texts.join('\n') };
}

type Matcher<Row> = (searched: Searched<Row>) => boolean;

export type Filter<Row> = {
  readonly matches: Matcher<Row>;
  /** Whether every row that this filter matches is certain to match the other one, too. */
  narrows(other: Filter<Row>): boolean;
  readonly terms: readonly Term<Row>[];
};

type Term<Row> = {
  /** As it was typed. */
  readonly source: string;
  readonly matches: Matcher<Row>;
  /** A kind of term that matches fewer rows as its text grows; default: any other kind. */
  readonly grows?: { readonly as: 'text' | 'fuzzy'; readonly field: number | null; readonly text: string };
};

/**
 * Matches rows that match each of its terms, ignoring case.
 *
 * - `text` is in any field: a regular expression, or plain text while it is not a valid one.
 * - `field:text` is in that field; `field=text` is all of it.
 * - `field>number`, `<`, `>=`, `<=` compare: `cpu>50`, `mem>=4G`, `p99>2ms`.
 * - `!` before a term negates it.
 * - `"two words"` is one term.
 * - `-f letters`, alone: some field has the letters in this order.
 */
export function rowFilter<Row>(filter: string, fields: readonly Field<Row>[]): Filter<Row> {
  const fuzzy = FUZZY.exec(filter);
  const terms = fuzzy ? [fuzzyTerm<Row>(fuzzy[1] ?? '')] : termsOf(filter).map(term => termOf(term, fields));
  return {
    terms,
    matches: row => terms.every(({ matches }) => matches(row)),
    narrows: other => other.terms.every(old => terms.some(term => implies(term, old))),
  };
}

const FUZZY = /^\s*-f(?:\s+(.*))?$/;

/** Whether every row that matches one term must match the other. */
function implies<Row>(term: Term<Row>, other: Term<Row>): boolean {
  if (other.matches === everything || term.source === other.source) return true;
  const [a, b] = [term.grows, other.grows];
  if (a === undefined || b === undefined || a.as !== b.as) return false;
  if (a.as === 'fuzzy') return a.text.startsWith(b.text);
  return (b.field === null || b.field === a.field) && a.text.includes(b.text);
}

/** Words, and quoted phrases. */
function termsOf(filter: string): string[] {
  return filter.match(/(?:"[^"]*"?|[^\s"])+/g) ?? [];
}

function fuzzyTerm<Row>(typed: string): Term<Row> {
  const text = typed.trim().toLowerCase();
  return {
    source: `-f ${typed}`,
    matches: ({ texts }) => texts.some(field => inOrder(text, field)),
    grows: { as: 'fuzzy', field: null, text },
  };
}

const FIELD_TERM = /^([a-z][\w/%-]*?)(!=|>=|<=|[:=<>])(.*)$/i;

/** An address or an ID, such as `af:00.0`, rather than a field and a text. */
const HEX_PAIR = /^[0-9a-f]+:[0-9a-f]*/i;

/** The columns named in a filter's terms, whether or not they exist. */
export function columnsNamedBy(filter: string): string[] {
  if (FUZZY.test(filter)) return [];
  return termsOf(filter).flatMap(term => {
    const bare = term.replace(/^!+/, '');
    const [all, name = ''] = FIELD_TERM.exec(bare) ?? [];
    return all === undefined || HEX_PAIR.test(bare) ? [] : [name];
  });
}

function termOf<Row>(source: string, fields: readonly Field<Row>[]): Term<Row> {
  if (source.startsWith('!')) {
    const term = source.slice(1);
    const { matches } = term === '' ? { matches: everything } : termOf(term, fields);
    return { source, matches: matches === everything ? everything : row => !matches(row) };
  }
  const [, name = '', operator = '', value = ''] = FIELD_TERM.exec(source) ?? [];
  const field = fieldNamed(fields, name);
  if (field === null) return textTerm(source, null, unquoted(source));
  const at = fields.indexOf(field);
  if (operator === ':' && value !== '') return textTerm(source, at, unquoted(value));
  return { source, matches: comparison(field, at, operator, unquoted(value)) };
}

/** @param field the field to search; null for all */
function textTerm<Row>(source: string, field: number | null, text: string): Term<Row> {
  // The user is still typing it.
  if (field !== null && text === '') return { source, matches: everything };
  const pattern = patternOf(text);
  if (pattern !== null) {
    const matches: Matcher<Row> = ({ texts, all }) => pattern.test(field === null ? all : texts[field]!);
    return { source, matches };
  }
  const plain = text.toLowerCase();
  const matches: Matcher<Row> =
    field === null ? ({ all }) => all.includes(plain) : ({ texts }) => texts[field]!.includes(plain);
  return { source, matches, grows: { as: 'text', field, text: plain } };
}

/** Null for plain text, and for an invalid regular expression. */
function patternOf(text: string): RegExp | null {
  if (!/[\\^$.*+?()[\]{}|]/.test(text)) return null;
  try {
    return new RegExp(text, 'im');
  } catch {
    return null;
  }
}

function comparison<Row>(field: Field<Row>, at: number, operator: string, value: string): Matcher<Row> {
  // The user is still typing it.
  if (value === '') return everything;
  if (operator === '!=') {
    const matches = comparison(field, at, '=', value);
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

function inOrder(letters: string, text: string): boolean {
  let at = 0;
  for (const letter of letters) {
    at = text.indexOf(letter, at) + 1;
    if (at === 0) return false;
  }
  return true;
}
