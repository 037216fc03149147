import { printable } from '../text/printable.ts';
import { wrap } from '../text/width.ts';
import type { Token } from '../theme/tokens.ts';

export type PlanLine = { readonly text: string; readonly token: Token };

/**
 * The head of a line, which its continuation lines are indented by: a mark, a number, a label, the columns of a table.
 */
const HEAD =
  /^ *(?:\[.\] |\d+\. +|(?:why|risk|then|undo|fix): *|(?:BLOCK|warn|ok) +\S+ +|\S+:\S+\.\d +(?:no group|group \d+) +)?/;

/** Wraps long lines, with continuations indented below their text. */
export function wrappedLines(lines: readonly string[], columns: number): PlanLine[] {
  return lines.flatMap(line => {
    const text = printable(line);
    const token = tokenOf(text);
    const start = HEAD.exec(text)![0];
    const body = text.slice(start.length);
    const indent = ' '.repeat(start.length);
    const room = Math.max(10, columns - start.length);
    return wrap(body, room).map((part, index) => ({ text: (index === 0 ? start : indent) + part, token }));
  });
}

const TOKENS: readonly (readonly [RegExp, Token])[] = [
  [/^\S[^[]*$/, 'text.heading'],
  [/^ *BLOCK /, 'status.error'],
  [/^ *(warn |risk:)/, 'status.warning'],
  [/^\[!\]/, 'status.error'],
  [/^\[>\]/, 'text.accent'],
  [/^\[x\]/, 'status.ok'],
];

function tokenOf(line: string): Token {
  return TOKENS.find(([pattern]) => pattern.test(line))?.[1] ?? 'text.primary';
}
