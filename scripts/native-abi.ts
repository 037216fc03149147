/**
 * Writes src/vmm/native/abi.ts from the structs and constants that the built native library reports
 * (native/src/abi.rs): `npm run abi`, after `npm run build -- native`.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import koffi from 'koffi';
import { builtFile, projectRoot } from '../src/project-root.ts';

type TypeDescription =
  | string
  | { readonly array: TypeDescription; readonly length: number }
  | { readonly struct: string };
type Field = {
  readonly name: string;
  readonly doc: string;
  readonly type: TypeDescription;
  readonly offset: number;
};
export type StructDescription = {
  readonly name: string;
  readonly doc: string;
  readonly fields: readonly Field[];
  readonly size: number;
};
type ConstantsDescription = {
  readonly name: string;
  readonly doc: string;
  readonly values: readonly { readonly name: string; readonly doc: string; readonly value: number }[];
};
/** What vring_layout returns, as JSON. */
export type AbiDescription = {
  readonly abiVersion: number;
  readonly structs: readonly StructDescription[];
  readonly constants: readonly ConstantsDescription[];
};

const HEADER = `/**
 * What crosses the C ABI of native/. Generated from native/src by \`npm run abi\`: do not edit. A test fails when it is stale.
 */
import { Struct } from '../kvm/c-struct.ts';
`;

export const ABI_FILE = join(projectRoot(), 'src/vmm/native/abi.ts');

/** The description from the built library, whatever its version. */
export function describeAbi(): AbiDescription {
  const library = koffi.load(builtFile('libvring_native.so'));
  return JSON.parse(library.func('const char *vring_layout()')());
}

/** The text of abi.ts. */
export async function abiSource({ abiVersion, structs, constants }: AbiDescription): Promise<string> {
  const text = [
    HEADER,
    `/** The version of all this and of the functions. */\nexport const ABI_VERSION = ${abiVersion};\n`,
    ...constants.map(constantsSource),
    ...structs.map(structSource),
  ].join('\n');
  const biome = join(projectRoot(), 'node_modules/.bin/biome');
  const { stdout } = await execa(biome, ['format', '--stdin-file-path', ABI_FILE], { input: text });
  return `${stdout}\n`;
}

/** The name of a struct's constant in abi.ts. */
export function structName(name: string): string {
  return `${name[0]!.toLowerCase()}${name.slice(1)}Struct`;
}

function constantsSource({ name, doc, values }: ConstantsDescription): string {
  const lines = values.map(value => `${comment(value.doc)}${camelCase(value.name)}: ${value.value},`);
  return `${comment(doc)}export const ${name} = {\n${lines.join('\n')}\n} as const;\n`;
}

function structSource({ name, doc, fields }: StructDescription): string {
  const lines = fields.map(
    field => `${comment(field.doc)}${camelCase(field.name)}: ${typeSource(field.type)},`,
  );
  const body = `new Struct('${name}', {\n${lines.join('\n')}\n})`;
  return `${comment(doc)}export const ${structName(name)} = ${body};\n`;
}

function typeSource(type: TypeDescription): string {
  if (typeof type === 'string') return `'${type}'`;
  if ('struct' in type) return structName(type.struct);
  return `{ array: ${typeSource(type.array)}, length: ${type.length} }`;
}

/** `LAST_AVAIL`, `last_avail` -> `lastAvail` */
function camelCase(name: string): string {
  return name.toLowerCase().replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
}

function comment(doc: string): string {
  const lines = doc
    .trimEnd()
    .split('\n')
    .map(line => line.trim());
  if (lines.join('') === '') return '';
  return lines.length === 1
    ? `/** ${lines[0]} */\n`
    : `/**\n${lines.map(line => ` * ${line}`).join('\n')}\n */\n`;
}

if (import.meta.main) writeFileSync(ABI_FILE, await abiSource(describeAbi()));
