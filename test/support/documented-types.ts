import { readFileSync } from 'node:fs';

/** A type of a page of docs/, in TypeScript's notation. */
type Type =
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'literal'; readonly value: unknown }
  | { readonly kind: 'array'; readonly of: Type }
  | { readonly kind: 'union'; readonly of: readonly Type[] }
  /** With `others`, it may have more fields, of that type. */
  | { readonly kind: 'object'; readonly fields: readonly Field[]; readonly others: Type | null }
  | { readonly kind: 'intersection'; readonly of: readonly Type[] }
  | { readonly kind: 'omit'; readonly of: Type; readonly name: string };

type ObjectType = Extract<Type, { kind: 'object' }>;
type Field = { readonly name: string; readonly type: Type; readonly optional: boolean };

const PRIMITIVES: ReadonlySet<string> = new Set(['string', 'number', 'boolean', 'unknown']);
const TOKEN = /\s*(?:\/\/.*|'([^']*)'|(\w+)|([^\s\w]))/g;

/** The types that a page defines in its blocks of TypeScript. */
export class DocumentedTypes {
  readonly #types: ReadonlyMap<string, Type>;

  constructor(page: string) {
    const blocks = [...readFileSync(page, 'utf8').matchAll(/```ts\n(.*?)```/gs)].map(([, code]) => code!);
    this.#types = new Map(blocks.flatMap(code => new TypeParser(code).definitions()));
  }

  /**
   * How a command's document differs from the page's: fields that are absent, or not documented, and values of other
   * types; once for all elements of an array.
   * @param command a key of the page's type `Documents`
   */
  misfits(document: object, command: string): string[] {
    const documents = this.#objectOf({ kind: 'name', name: 'Documents' });
    const type = documents.fields.find(({ name }) => name === command)?.type;
    if (type === undefined) return [`the page has no document of "${command}"`];
    return [...new Set(this.#misfits(document, type, ''))];
  }

  /** Its fields. */
  #objectOf(type: Type): ObjectType {
    switch (type.kind) {
      case 'object':
        return type;
      case 'name':
        return this.#objectOf(this.#named(type.name));
      case 'omit': {
        const { fields, others } = this.#objectOf(type.of);
        return { kind: 'object', fields: fields.filter(({ name }) => name !== type.name), others };
      }
      case 'intersection': {
        const parts = type.of.map(each => this.#objectOf(each));
        const others = parts.find(each => each.others !== null)?.others ?? null;
        return { kind: 'object', fields: parts.flatMap(({ fields }) => fields), others };
      }
      default:
        throw new Error(`${textOf(type)} has no fields`);
    }
  }

  #named(name: string): Type {
    const named = this.#types.get(name);
    if (named === undefined) throw new Error(`the page has no type ${name}`);
    return named;
  }

  #misfits(value: unknown, type: Type, path: string): string[] {
    const wrong = [`${path}: ${JSON.stringify(value)?.slice(0, 60)} is no ${textOf(type)}`];
    switch (type.kind) {
      case 'literal':
        return value === type.value ? [] : wrong;
      case 'array':
        return Array.isArray(value)
          ? value.flatMap(each => this.#misfits(each, type.of, `${path}[]`))
          : wrong;
      case 'union': {
        const tries = type.of.map(each => this.#misfits(value, each, path));
        if (tries.some(({ length }) => length === 0)) return [];
        // What is deepest is about the alternative that was meant.
        return tries.find(([first]) => !first!.startsWith(`${path}: `)) ?? wrong;
      }
      case 'name':
        if (!PRIMITIVES.has(type.name)) return this.#misfits(value, this.#named(type.name), path);
        return type.name === 'unknown' || typeof value === type.name ? [] : wrong;
      default:
        return isObject(value) ? this.#fieldMisfits(value, this.#objectOf(type), path) : wrong;
    }
  }

  #fieldMisfits(
    value: Readonly<Record<string, unknown>>,
    { fields, others }: ObjectType,
    path: string,
  ): string[] {
    const names = new Set(fields.map(({ name }) => name));
    const more = Object.keys(value).filter(name => !names.has(name));
    return [
      ...fields.flatMap(({ name, type, optional }) => {
        if (name in value) return this.#misfits(value[name], type, `${path}.${name}`);
        return optional ? [] : [`${path}.${name} is absent`];
      }),
      ...more.flatMap(name =>
        others === null
          ? [`${path}.${name} is not documented`]
          : this.#misfits(value[name], others, `${path}.${name}`),
      ),
    ];
  }
}

class TypeParser {
  readonly #tokens: readonly (string | { readonly text: string })[];
  #at = 0;

  constructor(code: string) {
    this.#tokens = [...code.replace(/\/\*.*?\*\//gs, '').matchAll(TOKEN)].flatMap(
      ([, literal, word, sign]) => (literal === undefined ? (word ?? sign ?? []) : { text: literal }),
    );
  }

  definitions(): [string, Type][] {
    const definitions: [string, Type][] = [];
    while (this.#at < this.#tokens.length) {
      this.#expect('type');
      const name = this.#word();
      this.#expect('=');
      definitions.push([name, this.type()]);
      this.#expect(';');
    }
    return definitions;
  }

  type(): Type {
    this.#skip('|');
    const of = [this.#intersection()];
    while (this.#skip('|')) of.push(this.#intersection());
    return of.length === 1 ? of[0]! : { kind: 'union', of };
  }

  #intersection(): Type {
    const of = [this.#arrays()];
    while (this.#skip('&')) of.push(this.#arrays());
    return of.length === 1 ? of[0]! : { kind: 'intersection', of };
  }

  #arrays(): Type {
    let type = this.#single();
    while (this.#skip('[')) {
      this.#expect(']');
      type = { kind: 'array', of: type };
    }
    return type;
  }

  #single(): Type {
    if (this.#skip('(')) {
      const type = this.type();
      this.#expect(')');
      return type;
    }
    if (this.#skip('{')) return this.#object();
    if (this.#skip('Omit')) {
      this.#expect('<');
      const of = this.type();
      this.#expect(',');
      const name = this.#literal();
      this.#expect('>');
      return { kind: 'omit', of, name };
    }
    const token = this.#tokens[this.#at++];
    if (typeof token === 'object') return { kind: 'literal', value: token.text };
    if (token === 'null') return { kind: 'literal', value: null };
    if (token === 'true' || token === 'false') return { kind: 'literal', value: token === 'true' };
    return { kind: 'name', name: token! };
  }

  #object(): Type {
    const fields: Field[] = [];
    let others: Type | null = null;
    while (!this.#skip('}')) {
      if (this.#skip('[')) {
        while (!this.#skip(']')) this.#at++;
        this.#expect(':');
        others = this.type();
      } else {
        const name = typeof this.#tokens[this.#at] === 'object' ? this.#literal() : this.#word();
        const optional = this.#skip('?');
        this.#expect(':');
        fields.push({ name, optional, type: this.type() });
      }
      this.#skip(';');
    }
    return { kind: 'object', fields, others };
  }

  #literal(): string {
    const token = this.#tokens[this.#at++];
    if (typeof token !== 'object') throw this.#unexpected('a quoted name');
    return token.text;
  }

  #word(): string {
    const token = this.#tokens[this.#at++];
    if (typeof token !== 'string' || !/^\w+$/.test(token)) throw this.#unexpected('a name');
    return token;
  }

  #skip(sign: string): boolean {
    if (this.#tokens[this.#at] !== sign) return false;
    this.#at++;
    return true;
  }

  #expect(sign: string): void {
    if (!this.#skip(sign)) throw this.#unexpected(`"${sign}"`);
  }

  #unexpected(expected: string): Error {
    const near = this.#tokens
      .slice(Math.max(0, this.#at - 5), this.#at + 3)
      .map(each => JSON.stringify(each));
    return new Error(`expected ${expected} in the page's types, near ${near.join(' ')}`);
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function textOf(type: Type): string {
  switch (type.kind) {
    case 'name':
      return type.name;
    case 'literal':
      return JSON.stringify(type.value);
    case 'array':
      return `${textOf(type.of)}[]`;
    case 'union':
      return type.of.map(textOf).join(' | ');
    default:
      return 'object';
  }
}
