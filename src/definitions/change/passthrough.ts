import { Scalar } from 'yaml';
import { readDefinition } from '../read.ts';
import type { DefinitionInput } from '../schema.ts';
import { changeKeys, type KeyChange } from './change-text.ts';

export type PassthroughEntry = NonNullable<DefinitionInput['passthrough']>[number];

/**
 * The text of a definition that passes these devices through. An existing entry for a device is replaced, but keeps the
 * settings that the new one lacks. Comments are kept.
 * @throws DefinitionError if the text is not valid
 */
export function withPassthrough(
  text: string,
  file: string,
  name: string,
  entries: readonly PassthroughEntry[],
): string {
  const known = readDefinition(text, { file, name }).passthrough.map(({ host }) => host);
  const added = entries
    .filter(({ host }) => !known.includes(host))
    .map(({ host, ...more }) => ({ host: quoted(host), ...more }));
  const changes: KeyChange[] = entries.flatMap(entry => {
    const index = known.indexOf(entry.host);
    if (index < 0) return [];
    return Object.entries(entry)
      .filter(([key]) => key !== 'host')
      .map(([key, value]): KeyChange => ({ path: ['passthrough', index, key], value }));
  });
  if (known.length === 0 && added.length > 0) changes.push({ path: ['passthrough'], value: added });
  else
    added.forEach((entry, index) => {
      changes.push({ path: ['passthrough', known.length + index], value: entry });
    });
  return changes.length === 0 ? text : changeKeys(text, file, changes);
}

/** YAML 1.1 parsers read `0000:02:00.0` as a base-60 number. */
function quoted(text: string): Scalar<string> {
  const scalar = new Scalar(text);
  scalar.type = Scalar.QUOTE_DOUBLE;
  return scalar;
}
