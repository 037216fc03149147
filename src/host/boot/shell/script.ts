import { type Dialect, lineOf, type Part, ShellSyntaxError } from './lexer.ts';
import { literal, ShellParser, type Statement, type Word } from './parser.ts';
import {
  type Assignment,
  noValue,
  type PlacedLetter,
  type ShellValue,
  ShellVariables,
  valueText,
} from './variables.ts';

export type ShellFiles = {
  readonly dialect: Dialect;
  /** Sourced in this order. */
  readonly sources: readonly { readonly file: string; readonly text: string }[];
  /** Reads a file that one of these sources; null if it does not exist. */
  readonly read: (path: string) => string | null;
};

const identifier = /^[A-Za-z_]\w*$/;
/**
 * A kernel accepts 2 or 4 KiB of parameters. The limit bounds files whose variables double each other, or that source
 * each other.
 */
const maxLetters = 16_384;
const maxSources = 16;

/** The variables of shell files, evaluated without running anything. */
export function readShellFiles(files: ShellFiles): ShellVariables {
  const variables = new ShellVariables();
  for (const { file, text } of files.sources) new Script(file, text, false, files, variables, 0).run();
  return variables;
}

const declarations = new Set(['export', 'readonly', 'declare', 'typeset', 'local']);
const readers = new Set(['read', 'getopts', 'printf', 'mapfile', 'readarray', 'let']);
/** Their effect depends on more than the file. */
const unpredictable = new Set(['eval', 'exec', 'exit', 'return', 'trap', 'alias', 'set']);

/** One file, statement by statement. */
class Script {
  readonly #file: string;
  readonly #text: string;
  readonly #files: ShellFiles;
  readonly #variables: ShellVariables;
  /** How many files have sourced this one. */
  readonly #depth: number;
  readonly #functions = new Set<string>();
  /** An offset and its line. */
  #known = { offset: 0, line: 1 };
  /** Whether the file is sourced conditionally. */
  readonly #conditional: boolean;

  constructor(
    file: string,
    text: string,
    conditional: boolean,
    files: ShellFiles,
    variables: ShellVariables,
    depth: number,
  ) {
    this.#depth = depth;
    this.#file = file;
    this.#text = text;
    this.#files = files;
    this.#variables = variables;
    this.#conditional = conditional;
  }

  run(): void {
    const parser = new ShellParser(this.#text, this.#files.dialect);
    try {
      for (let next = parser.next(); next !== null; next = parser.next()) this.#statement(next);
    } catch (error) {
      if (!(error instanceof ShellSyntaxError)) throw error;
      this.#variables.break(`${this.#file}, ${error.message}`);
    }
  }

  #statement(statement: Statement): void {
    switch (statement.kind) {
      case 'command':
        this.#command(statement.words, this.#conditional || statement.uncertain);
        break;
      case 'array':
        this.#array(statement.word, statement.elements, this.#conditional || statement.uncertain);
        break;
      case 'loop':
        this.#forget(statement.name, 'a loop sets it', statement.at);
        break;
      case 'function':
        this.#functions.add(statement.name);
    }
  }

  #command(words: readonly Word[], uncertain: boolean): void {
    const first = words.findIndex(word => this.#assignment(word) === null);
    if (first < 0) {
      for (const word of words) this.#assign(this.#assignment(word)!, uncertain);
      return;
    }
    // Before a command, assignments are its environment; before a special built-in they persist, depending on the
    // shell.
    for (const word of words.slice(0, first)) this.#forgetWord(word, 'a command gets it in its environment');
    const [command, ...rest] = words.slice(first) as [Word, ...Word[]];
    this.#run(literal(command), command, rest, uncertain);
  }

  #run(name: string | null, command: Word, words: readonly Word[], uncertain: boolean): void {
    const stop = (why: string): void => this.#variables.break(this.#place(why, command.start));
    if (name !== null && declarations.has(name)) {
      for (const word of words) this.#declare(word, uncertain);
    } else if (name === 'unset') {
      for (const word of words) {
        const variable = literal(word);
        if (variable === null) stop('unset');
        else if (uncertain) this.#forget(variable, 'a condition unsets it', word.start);
        else this.#variables.unset(variable);
      }
    } else if (name === '.' || name === 'source') {
      const path = words[0] === undefined ? null : literal(words[0]);
      if (path === null || !path.startsWith('/')) stop('another file is sourced');
      else this.#sourceOther(path, uncertain, stop);
    } else if (name !== null && readers.has(name)) {
      for (const word of words) this.#forgetWord(word, `${name} sets it`);
    } else if (name === null || unpredictable.has(name) || this.#functions.has(name)) {
      stop(name ?? 'the name of the command is an expansion');
    } else if (/^[A-Za-z_]\w*\+=/.test(name)) {
      stop('the sh of this host does not support +=');
    }
  }

  #sourceOther(path: string, uncertain: boolean, stop: (why: string) => void): void {
    const text = this.#files.read(path);
    if (text === null) {
      // A POSIX shell exits when it sources a missing file.
      if (!uncertain) stop(`${path} does not exist`);
    } else if (this.#depth >= maxSources) stop('files source each other');
    else new Script(path, text, uncertain, this.#files, this.#variables, this.#depth + 1).run();
  }

  #declare(word: Word, uncertain: boolean): void {
    const assignment = this.#assignment(word);
    if (assignment !== null) {
      // Some shells split an unquoted value into words.
      const bare = assignment.parts.some(part => part.kind === 'parameter');
      if (bare) this.#forget(assignment.name, 'a value without quotes', word.start);
      else this.#assign(assignment, uncertain);
      return;
    }
    const text = literal(word);
    const understood = text !== null && (identifier.test(text) || /^-[xrg]+$/.test(text));
    if (!understood) this.#variables.break(this.#place('a declaration', word.start));
  }

  /** `NAME=`, `NAME+=`: unquoted and unescaped letters at the start of the word. */
  #assignment(word: Word): (Assignment & { readonly append: boolean }) | null {
    const first = word.parts[0];
    if (first?.kind !== 'text' || first.quote !== 'none') return null;
    const plain = first.letters.findIndex(letter => letter.end - letter.start > 1);
    const bare = plain < 0 ? first.letters : first.letters.slice(0, plain);
    const head = /^([A-Za-z_]\w*)(\+?)=/.exec(bare.map(letter => letter.text).join(''));
    if (head === null || (head[2] === '+' && this.#files.dialect === 'posix')) return null;
    const rest = first.letters.slice(head[0].length);
    const parts = [...(rest.length > 0 ? [{ ...first, letters: rest }] : []), ...word.parts.slice(1)];
    const start = first.letters[head[0].length - 1]!.end;
    return { file: this.#file, name: head[1]!, append: head[2] === '+', start, end: word.end, parts };
  }

  #assign(assignment: Assignment & { readonly append: boolean }, uncertain: boolean): void {
    const { name, start, append } = assignment;
    if (uncertain) {
      this.#forget(name, 'it is set conditionally', start);
      return;
    }
    const value = this.#expand(assignment.parts, start);
    const before = append ? this.#variables.value(name) : noValue;
    const letters = [...before.letters, ...value.letters];
    const home = hasTilde(assignment.parts) ? this.#place('~ is a home directory', start) : null;
    const from = [...new Set([...before.from, ...value.from, assignment])];
    const odd = letters.length > maxLetters ? 'its value is too long' : 'an array is appended to';
    const limit = letters.length > maxLetters || before.elements !== null ? this.#place(odd, start) : null;
    this.#variables.set(name, {
      letters,
      from,
      elements: null,
      unknown: before.unknown ?? value.unknown ?? home ?? limit,
    });
  }

  /** @param at offset of the word, for messages */
  #expand(parts: readonly Part[], at: number): ShellValue {
    const letters: PlacedLetter[] = [];
    const from: Assignment[] = [];
    let unknown: string | null = null;
    const add = (value: ShellValue): void => {
      if (letters.length <= maxLetters) letters.push(...value.letters);
      from.push(...value.from);
      unknown ??= value.unknown;
    };
    for (const part of parts) {
      if (part.kind === 'text') {
        if (letters.length <= maxLetters) {
          for (const letter of part.letters) letters.push({ ...letter, file: this.#file });
        }
      } else if (part.kind === 'string') add(this.#expand(part.parts, at));
      else if (part.kind === 'opaque') unknown ??= this.#place(part.why, at);
      else add(this.#parameter(part, at));
    }
    return { letters, from: [...new Set(from)], elements: null, unknown };
  }

  #parameter(part: Extract<Part, { kind: 'parameter' }>, at: number): ShellValue {
    const { name, operator } = part;
    const value = this.#variables.value(name);
    const isSet = this.#variables.has(name);
    // Variables that grub-mkconfig or the environment sets are not visible here.
    if (!isSet && !name.startsWith('GRUB_')) {
      return { ...noValue, unknown: this.#place(`$${name} is not set in these files`, at) };
    }
    if (operator === null || value.unknown !== null) return value;
    const filled = isSet && (!operator.startsWith(':') || value.letters.length > 0);
    const alternative = operator.endsWith('+') ? filled : !filled;
    if (alternative) return this.#expand(part.word, at);
    return operator.endsWith('+') ? noValue : value;
  }

  /** `NAME=(a b c)` of bash. */
  #array(word: Word, words: readonly Word[], uncertain: boolean): void {
    const assignment = this.#assignment(word)!;
    const before = assignment.append ? this.#variables.value(assignment.name) : noValue;
    const values = words.map(each => this.#expand(each.parts, each.start));
    const condition = uncertain ? this.#place('it is set conditionally', word.start) : null;
    const first = before.elements ?? (before.letters.length > 0 ? [valueText(before)] : []);
    this.#variables.set(assignment.name, {
      letters: [],
      from: [assignment],
      elements: [...first, ...values.map(valueText)],
      unknown: condition ?? before.unknown ?? values.find(each => each.unknown !== null)?.unknown ?? null,
    });
  }

  #forgetWord(word: Word, why: string): void {
    const assignment = this.#assignment(word);
    const name = assignment?.name ?? literal(word);
    if (name !== null && identifier.test(name)) this.#forget(name, why, word.start);
  }

  /** The variable's value is no longer known. */
  #forget(name: string, why: string, at: number): void {
    const before = this.#variables.value(name);
    this.#variables.set(name, { ...before, unknown: this.#place(why, at) });
  }

  #place(why: string, at: number): string {
    return `${this.#file}, line ${this.#line(at)}: ${why}`;
  }

  /** Counts from the previous result: offsets mostly increase. */
  #line(at: number): number {
    const { offset, line } = at < this.#known.offset ? { offset: 0, line: 1 } : this.#known;
    this.#known = { offset: at, line: line + lineOf(this.#text.slice(offset, at), at - offset) - 1 };
    return this.#known.line;
  }
}

/** Whether there is an unquoted `~` that a shell expands to a home directory. */
function hasTilde(parts: readonly Part[]): boolean {
  return parts.some(
    (part, index) =>
      part.kind === 'text' &&
      part.quote === 'none' &&
      part.letters.some(
        (letter, at) =>
          letter.text === '~' && ((at === 0 && index === 0) || part.letters[at - 1]?.text === ':'),
      ),
  );
}
