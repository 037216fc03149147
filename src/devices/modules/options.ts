import { bytesOf } from '../../text/size.ts';

type Common = {
  /** One sentence, without its period. */
  readonly description: string;
};

/** An option of a device module. It is required if it has no default. */
export type OptionSpec = Common &
  (
    | { readonly kind: 'number'; readonly default?: number; readonly min?: number; readonly max?: number }
    /** Bytes; suffixes such as in `64K` are accepted, and a bare number counts bytes. */
    | { readonly kind: 'size'; readonly default?: number; readonly min?: number; readonly max?: number }
    | { readonly kind: 'boolean'; readonly default?: boolean }
    | { readonly kind: 'text'; readonly default?: string }
    | { readonly kind: 'choice'; readonly values: readonly string[]; readonly default?: string }
  );

export type OptionSpecs = Readonly<Record<string, OptionSpec>>;

type ValueOf<Spec extends OptionSpec> = Spec extends { kind: 'number' | 'size' }
  ? number
  : Spec extends { kind: 'boolean' }
    ? boolean
    : Spec extends { kind: 'choice'; values: readonly (infer Value)[] }
      ? Value
      : string;

/** The checked options of one device. */
export type OptionValues<Specs extends OptionSpecs> = {
  readonly [Name in keyof Specs]: ValueOf<Specs[Name]>;
};

/** Options that a device does not accept; the message names them, and what is expected. */
export class OptionError extends Error {
  override readonly name = 'OptionError';
}

const KINDS = ['number', 'size', 'boolean', 'text', 'choice'] satisfies OptionSpec['kind'][];
/** The options of every entry. */
const RESERVED = ['type', 'name', 'bus', 'addr'];

/** What is wrong with the options that a module declares, or null. */
export function optionsProblem(options: unknown): string | null {
  if (typeof options !== 'object' || options === null) return '"options" must be an object';
  for (const [name, spec] of Object.entries(options)) {
    const { kind, values } = (spec ?? {}) as { readonly kind?: unknown; readonly values?: unknown };
    if (RESERVED.includes(name)) return `option "${name}" is one of every device: rename it`;
    if (!KINDS.some(each => each === kind))
      return `"kind" of option "${name}" must be one of ${KINDS.join(', ')}`;
    if (kind === 'choice' && !(Array.isArray(values) && values.length > 0))
      return `"values" of option "${name}" must list its choices`;
  }
  return null;
}

/**
 * The checked options of a configuration's entry. On a command line all are text; a definition has numbers and booleans
 * too.
 * @throws OptionError
 */
export function readOptions<Specs extends OptionSpecs>(
  specs: Specs,
  entry: Readonly<Record<string, unknown>>,
): OptionValues<Specs> {
  const unknown = Object.keys(entry).find(name => !Object.hasOwn(specs, name));
  if (unknown !== undefined) {
    const names = Object.keys(specs);
    const known = names.length === 0 ? 'it has none' : `it has ${names.join(', ')}`;
    throw new OptionError(`there is no option "${unknown}": ${known}`);
  }
  const values = Object.entries(specs).map(([name, spec]) => {
    const value = entry[name] ?? spec.default;
    if (value === undefined) throw new OptionError(`option "${name}" is missing: ${spec.description}`);
    return [name, readOption(name, spec, value)];
  });
  return Object.fromEntries(values);
}

function readOption(name: string, spec: OptionSpec, value: unknown): unknown {
  switch (spec.kind) {
    case 'number':
      return inRange(name, spec, value, numberOf(value), 'a whole number');
    case 'size':
      return inRange(name, spec, value, sizeOf(value), 'a size such as 64K, or a number of bytes');
    case 'boolean': {
      const read = typeof value === 'boolean' ? value : BOOLEANS.get(String(value));
      if (read === undefined) throw expected(name, 'on or off', value);
      return read;
    }
    case 'text':
      return String(value);
    case 'choice':
      if (!spec.values.includes(String(value))) throw expected(name, spec.values.join(' or '), value);
      return String(value);
  }
}

const BOOLEANS = new Map([
  ['on', true],
  ['true', true],
  ['off', false],
  ['false', false],
]);

function numberOf(value: unknown): number | null {
  if (typeof value === 'string' && !/^(-?\d{1,15}|0x[0-9a-f]{1,12})$/i.test(value)) return null;
  const number = Number(value);
  return typeof value !== 'boolean' && Number.isSafeInteger(number) ? number : null;
}

function sizeOf(value: unknown): number | null {
  return typeof value === 'string' && !/^\d+$/.test(value) ? bytesOf(value) : numberOf(value);
}

function inRange(
  name: string,
  { min = 0, max = Number.MAX_SAFE_INTEGER }: { readonly min?: number; readonly max?: number },
  given: unknown,
  number: number | null,
  what: string,
): number {
  if (number === null || number < min || number > max) {
    const upper = max === Number.MAX_SAFE_INTEGER ? '' : `, at most ${max}`;
    throw expected(name, `${what}, at least ${min}${upper}`, given);
  }
  return number;
}

function expected(name: string, what: string, given: unknown): OptionError {
  return new OptionError(`option "${name}" takes ${what}, not ${JSON.stringify(given)}`);
}
