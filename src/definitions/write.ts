import { plainDefinition } from './plain.ts';
import type { Definition } from './schema.ts';
import { definitionYaml } from './yaml-for-others.ts';

/** A definition as the text of a new file. @param heading comment lines for the top, without `# ` */
export function writeDefinition(definition: Definition, heading: readonly string[] = []): string {
  const comment = heading.map(line => `# ${line}\n`).join('');
  return comment + definitionYaml(plainDefinition(definition));
}
