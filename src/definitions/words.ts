import { printable } from '../text/printable.ts';

const MOST = 60;

/** A value from a definition, for a message: short, and safe for the terminal. */
export function shown(value: unknown): string {
  if (value === null) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a mapping of keys';
  if (typeof value !== 'string') return String(value);
  return `"${printable(value.length > MOST ? `${value.slice(0, MOST)}...` : value)}"`;
}

/** `a, b or c`. */
export function orList(words: readonly string[]): string {
  return list(words, 'or');
}

/** `a, b and c`. */
export function andList(words: readonly string[]): string {
  return list(words, 'and');
}

function list(words: readonly string[], last: string): string {
  if (words.length < 2) return words.join('');
  return `${words.slice(0, -1).join(', ')} ${last} ${words.at(-1)}`;
}
