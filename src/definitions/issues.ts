import type * as z from 'zod';
import { likely } from '../text/nearest.ts';
import { definitionJsonSchema } from './json-schema.ts';
import { knownKeys } from './known-keys.ts';
import { orList, shown } from './words.ts';

/** What is wrong at a key, in words; `atKey` if it is the key itself, not its value. */
export type KeyProblem = {
  readonly path: readonly PropertyKey[];
  readonly message: string;
  readonly atKey: boolean;
};

type Issue = z.core.$ZodIssue;
type UnionIssue = z.core.$ZodIssueInvalidUnion;

/** The schema's findings, in words. @param value what was checked */
export function keyProblems(issues: readonly Issue[], value: unknown): KeyProblem[] {
  return issues.flatMap(issue => inWords(issue, [], value));
}

function inWords(issue: Issue, above: readonly PropertyKey[], root: unknown): KeyProblem[] {
  const path = [...above, ...issue.path];
  const expected = (what: string, input: unknown): KeyProblem[] => [
    { path, message: `expected ${what}, not ${shown(input)}`, atKey: false },
  ];
  switch (issue.code) {
    case 'unrecognized_keys': {
      const known = knownKeys(definitionJsonSchema(), root, path);
      return issue.keys.map(key => ({ path: [...path, key], message: unknownKey(key, known), atKey: true }));
    }
    case 'invalid_union':
      return ofUnion(issue, path, root);
    case 'invalid_type': {
      const what = isStandard(issue) ? (TYPES[issue.expected] ?? issue.expected) : issue.message;
      return issue.input === undefined ? missing(path, what) : expected(what, issue.input);
    }
    case 'invalid_value': {
      const what = orList(issue.values.map(String));
      return issue.input === undefined ? missing(path, what) : expected(what, issue.input);
    }
    case 'custom':
      return [{ path, message: issue.message, atKey: false }];
    default:
      return [{ path, message: inOwnWords(issue, path), atKey: false }];
  }
}

/** The library's own message, for issues for which the schema has none. */
function isStandard({ message }: Issue): boolean {
  return message.startsWith('Invalid');
}

/** Device options have messages that are whole sentences; those of definition keys say what was expected. */
function inOwnWords({ message, input }: Issue, path: readonly PropertyKey[]): string {
  const isSentence = path[0] === 'devices' || message.startsWith('expected ');
  const sentence = isSentence ? message : `expected ${message}`;
  return typeof input === 'object' ? sentence : `${sentence}, not ${shown(input)}`;
}

const TYPES: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a mapping of keys',
};

function missing(path: readonly PropertyKey[], what: string): KeyProblem[] {
  return [{ path, message: `missing: expected ${what}`, atKey: false }];
}

function unknownKey(key: string, known: readonly string[]): string {
  const meant = likely(key, known);
  if (meant !== null) return `unknown key ${shown(key)}: did you mean "${meant}"?`;
  return `unknown key ${shown(key)}: the keys here are ${known.join(', ')}`;
}

/** The problems of the alternative that was meant: the one that its `type` names. */
function ofUnion(issue: UnionIssue, path: readonly PropertyKey[], root: unknown): KeyProblem[] {
  if (issue.discriminator !== undefined) {
    const types = orList((issue as { options?: unknown[] }).options!.map(String));
    const type = (issue.input as Record<string, unknown>)[String(issue.discriminator)];
    if (type === undefined) return missing(path, types);
    return [{ path, message: `expected ${types}, not ${shown(type)}`, atKey: false }];
  }
  const possible = issue.errors.filter(errors => !errors.some(isOfAnotherType));
  // An alternative that accepts any type comes after those with known types.
  const meant = possible.find(errors => !errors.some(isUnknownType)) ?? possible[0];
  if (meant) return meant.flatMap(each => inWords(each, path, root));
  if (issue.input === undefined) return missing(path, issue.message);
  return [{ path, message: `expected ${issue.message}, not ${shown(issue.input)}`, atKey: false }];
}

function isUnknownType(issue: Issue): boolean {
  if (issue.code !== 'invalid_union' || issue.discriminator === undefined) return false;
  return typeof (issue.input as Record<string, unknown>)[String(issue.discriminator)] === 'string';
}

function isOfAnotherType(issue: Issue): boolean {
  if (issue.path.length > 0) return false;
  if (issue.code === 'invalid_type') return true;
  // An alternative that is one empty text says nothing of what else was expected.
  if (issue.code === 'invalid_value') return typeof issue.input === 'object' || issue.values.join() === '';
  return (
    issue.code === 'invalid_union' &&
    issue.errors.length > 0 &&
    issue.errors.every(each => each.some(isOfAnotherType))
  );
}
