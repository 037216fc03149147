import {
  type Document,
  isCollection,
  isMap,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
  visit,
} from 'yaml';
import { printable } from '../text/printable.ts';
import { keyPath } from './key-path.ts';
import { DefinitionError, type DefinitionProblem } from './problem.ts';
import { shown } from './words.ts';

/** The size limit of a definition. */
export const MAX_BYTES = 256 * 1024;

/** How deeply keys and lists may be nested: more than any definition needs, and less than recursive functions bear. */
const MAX_DEPTH = 64;
const TOO_DEEP = `keys and lists are nested more than ${MAX_DEPTH} deep`;

/** The text of a definition, parsed, and where its keys are. */
export class YamlText {
  readonly file: string;
  readonly document: Document.Parsed;
  readonly #lines = new LineCounter();

  /** @param file its name in messages. @throws DefinitionError */
  constructor(text: string, file: string) {
    this.file = file;
    if (Buffer.byteLength(text) > MAX_BYTES) {
      throw this.#refused(0, `a definition may have at most ${MAX_BYTES / 1024} KiB`);
    }
    this.document = parseDocument(text, {
      lineCounter: this.#lines,
      prettyErrors: false,
      stringKeys: true,
      version: '1.2',
    });
    const faults = [...this.document.errors, ...this.document.warnings];
    const syntax = faults.find(({ code }) => code !== 'TAG_RESOLVE_FAILED');
    if (syntax) throw this.#refused(syntax.pos[0], syntaxMessage(syntax, text));
    visit(this.document, {
      // The library knows more tags than those of YAML 1.2, with values that are not plain data: a !!binary is a
      // Buffer.
      Node: (_key, node, above) => {
        if (above.length > 2 * MAX_DEPTH) throw this.#refused(node.range?.[0] ?? 0, TOO_DEEP);
        const { tag, range } = node as Node & { readonly tag?: string };
        if (tag === undefined) return;
        const short = tag.replace(/^tag:yaml\.org,2002:/, '!!');
        const message = `expected a plain value: remove the tag ${printable(short)}`;
        throw this.#refused(range![0], message, pathTo(node, above));
      },
      // Nested aliases could expand to more memory than there is, and a definition does not need any.
      Alias: (_key, { range, source }) => {
        throw this.#refused(range![0], `aliases are not allowed: write out what *${source} stands for`);
      },
    });
    if (faults[0]) throw this.#refused(faults[0].pos[0], syntaxMessage(faults[0], text));
  }

  get value(): unknown {
    return this.document.toJS();
  }

  /** A problem at a key or its value; if that is missing, at the mapping that should have it. */
  problem(path: readonly PropertyKey[], message: string, atKey: boolean): DefinitionProblem {
    return { ...this.#position(this.#offset(path, atKey)), path: keyPath(path), message };
  }

  #offset(path: readonly PropertyKey[], atKey: boolean): number {
    let offset = 0;
    let node: unknown = this.document.contents;
    for (const [depth, step] of path.entries()) {
      if (isMap(node)) {
        const pair = node.items.find(({ key }) => isScalar(key) && key.value === step);
        if (pair === undefined) break;
        const key = pair.key as Node;
        if (atKey && depth === path.length - 1) return key.range![0];
        offset = (pair.value as Node | null)?.range?.[0] ?? key.range![0];
        node = pair.value;
      } else if (isCollection(node)) {
        node = node.items[Number(step)];
        offset = (node as Node | undefined)?.range?.[0] ?? offset;
      }
    }
    return offset;
  }

  #refused(offset: number, message: string, path: readonly PropertyKey[] = []): DefinitionError {
    return new DefinitionError([{ ...this.#position(offset), path: keyPath(path), message }]);
  }

  #position(offset: number): { file: string; line: number; column: number } {
    const { line, col } = this.#lines.linePos(offset);
    // An empty text has no position.
    return { file: this.file, line: Math.max(1, line), column: Math.max(1, col) };
  }
}

/** @param above the documents, collections and pairs that the node is in, from the outside in */
function pathTo(node: unknown, above: readonly unknown[]): PropertyKey[] {
  return above.flatMap((outer, index): PropertyKey[] => {
    if (isPair(outer)) return [isScalar(outer.key) ? String(outer.key.value) : '?'];
    return isSeq(outer) ? [outer.items.indexOf(above[index + 1] ?? node)] : [];
  });
}

function syntaxMessage({ code, message, pos }: Document.Parsed['errors'][number], text: string): string {
  switch (code) {
    case 'DUPLICATE_KEY':
      return `key ${shown(/^[^\s:]*/.exec(text.slice(pos[0], pos[0] + 100))![0])} is given twice`;
    case 'MULTIPLE_DOCS':
      return 'a file holds one definition: remove the second document ("---")';
    case 'TAG_RESOLVE_FAILED':
      return 'tags (!name) are not allowed';
    default:
      // The parser is recursive, and reports where it gave up like an error of the text.
      if (message.includes('call stack')) return TOO_DEEP;
      return `not YAML: ${message}`;
  }
}
