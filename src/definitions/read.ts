import { keyProblems } from './issues.ts';
import { DefinitionError } from './problem.ts';
import { type Definition, definition } from './schema.ts';
import { shown } from './words.ts';
import { YamlText } from './yaml-text.ts';

/** Where a definition comes from. */
export type DefinitionSource = {
  /** The name in messages: the file's path, as the user knows it. */
  readonly file: string;
  /** The name that it must have: the file's, without `.yaml`. */
  readonly name?: string;
};

/** Reads and checks a definition. @throws DefinitionError with every problem, in the order of the text */
export function readDefinition(text: string | Uint8Array, source: DefinitionSource): Definition {
  const yaml = new YamlText(typeof text === 'string' ? text : decode(text, source.file), source.file);
  const value = yaml.value;
  const parsed = definition.safeParse(value, { reportInput: true });
  const problems = parsed.success ? [] : keyProblems(parsed.error.issues, value);
  const name = (value as { name?: unknown } | null)?.name;
  const nameIsWrong = problems.some(({ path }) => path[0] === 'name');
  if (source.name !== undefined && typeof name === 'string' && name !== source.name && !nameIsWrong) {
    const message = `expected ${shown(source.name)}, the name of the file, not ${shown(name)}`;
    problems.push({ path: ['name'], message, atKey: false });
  }
  if (parsed.success && problems.length === 0) return parsed.data;
  const placed = problems.map(({ path, message, atKey }) => yaml.problem(path, message, atKey));
  throw new DefinitionError(placed.sort((a, b) => a.line - b.line || a.column - b.column));
}

/** @throws DefinitionError */
function decode(bytes: Uint8Array, file: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new DefinitionError([{ file, line: 1, column: 1, path: '', message: 'expected text in UTF-8' }]);
  }
}
