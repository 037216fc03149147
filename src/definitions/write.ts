import { stringify, type ToStringOptions } from 'yaml';
import { plainDefinition } from './plain.ts';
import type { Definition } from './schema.ts';

/** Lists of words and numbers stay on a line; nothing is folded. */
const STYLE: ToStringOptions = { lineWidth: 0, flowCollectionPadding: false };

/** A definition as the text of a new file. @param heading comment lines for its top, without `# ` */
export function writeDefinition(definition: Definition, heading: readonly string[] = []): string {
  const comment = heading.map(line => `# ${line}\n`).join('');
  return comment + stringify(plainDefinition(definition), STYLE);
}
