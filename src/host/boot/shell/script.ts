import { type Dialect, lineOf, type Part, ShellLexer, ShellSyntaxError, type Token } from './lexer.ts';
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
  /** Sourced one after another. */
  readonly sources: readonly { readonly file: string; readonly text: string }[];
  /** The text of another file that one of these sources; null: there is none. */
  readonly read: (path: string) => string | null;
};

const identifier = /^[A-Za-z_]\w*$/;
/** A kernel takes 2 or 4 KiB of parameters. Files whose variables double each other, or source each other, end here. */
const maxLetters = 16_384;
const maxStatements = 4096;
const maxSources = 16;

/** The variables of shell files, without running anything. */
export function readShellFiles(files: ShellFiles): ShellVariables {
  const variables = new ShellVariables();
  for (const { file, text } of files.sources) new Script(file, text, false, files, variables, 0).run();
  return variables;
}

/** Closing words of compound commands by the words that open them. */
const openers: Readonly<Record<string, string>> = {
  if: 'fi',
  while: 'done',
  until: 'done',
  for: 'done',
  select: 'done',
  case: 'esac',
  '{': '}',
};
const closers = new Set(['fi', 'done', 'esac', '}']);
/** Words within a compound command by what closes it. */
const between: ReadonlyMap<string, string> = new Map([
  ['then', 'fi'],
  ['else', 'fi'],
  ['elif', 'fi'],
  ['do', 'done'],
]);
const declarations = new Set(['export', 'readonly', 'declare', 'typeset', 'local']);
const readers = new Set(['read', 'getopts', 'printf', 'mapfile', 'readarray', 'let']);
/** What they do depends on more than the file. */
const unpredictable = new Set(['eval', 'exec', 'exit', 'return', 'trap', 'alias', 'set']);

type Word = Extract<Token, { kind: 'word' }>;

/** One file, statement by statement. */
class Script {
  readonly #file: string;
  readonly #text: string;
  readonly #lexer: ShellLexer;
  readonly #files: ShellFiles;
  readonly #variables: ShellVariables;
  /** How many files have sourced this one. */
  readonly #depth: number;
  /** The compound commands that are open; `body`: their `then` or `do` has been read. */
  readonly #open: { readonly closer: string; body: boolean }[] = [];
  /** What the grammar has next: a command, one or the end of a list, or the end of the list alone. */
  #expects: 'command' | 'anything' | 'end' = 'anything';
  readonly #functions = new Set<string>();
  #statements = 0;
  /** Where the last token began. */
  #position = 0;
  /** An offset whose line is known. */
  #known = { offset: 0, line: 1 };
  /** The statement is run only if another one went well, or in a process of its own. */
  #conditional: boolean;
  readonly #always: boolean;

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
    this.#lexer = new ShellLexer(text, files.dialect);
    this.#files = files;
    this.#variables = variables;
    this.#conditional = conditional;
    this.#always = conditional;
  }

  run(): void {
    try {
      while (this.#statement());
      const open = this.#open.at(-1);
      if (open !== undefined) throw this.#error(`${open.closer} is missing`);
      if (this.#expects === 'command') throw this.#error('a command is missing at the end');
    } catch (error) {
      if (!(error instanceof ShellSyntaxError)) throw error;
      this.#variables.break(`${this.#file}, ${error.message}`);
    }
  }

  /** Reads one simple command with the operator behind it, or a word of a compound one. @returns false at the end. */
  #statement(): boolean {
    const words: Word[] = [];
    if (++this.#statements > maxStatements) throw this.#error('the file is too long');
    for (;;) {
      const token = this.#lexer.next();
      this.#position = token?.start ?? this.#text.length;
      if (token === null || token.kind === 'operator') {
        if (token !== null && this.#joins(token.text, words)) continue;
        if (token?.text === '(' && words.length > 0) this.#function(words);
        else this.#command(words, token?.text ?? null);
        if (words.length > 0 && token?.text !== '(') this.#expects = 'end';
        if (token !== null && !(token.text === '(' && words.length > 0)) this.#operator(token.text);
        return token !== null;
      }
      if (words.length === 0 && this.#reserved(token)) continue;
      if (this.#expects === 'end')
        throw this.#error(`${literal(token) ?? 'a word'} behind a compound command`);
      words.push(token);
      if (this.#lexer.follows('(') && this.#isArray(token)) {
        this.#array(words.pop()!);
        this.#expects = 'end';
      }
    }
  }

  /** `name()`: its body is not run now. */
  #function(words: readonly Word[]): void {
    const close = this.#lexer.next();
    const name = literal(words[0]!) ?? '';
    if (!identifier.test(name) || words.length > 1 || close?.kind !== 'operator' || close.text !== ')')
      throw this.#error('a ( in a command');
    this.#functions.add(name);
    this.#expects = 'command';
  }

  /** Redirections belong to the command around them. */
  #joins(operator: string, words: Word[]): boolean {
    if (!/[<>]/.test(operator)) return false;
    const target = this.#lexer.next();
    if (target?.kind !== 'word') throw this.#error('a redirection has no target');
    // A file descriptor in front of it is no argument.
    if (words.length > 1 && /^\d$/.test(literal(words.at(-1)!) ?? '')) words.pop();
    return true;
  }

  #operator(operator: string): void {
    if (operator === '\n') {
      // A list goes on behind `&&` and a line's end.
      if (this.#expects === 'command') return;
    } else if (operator === '(') {
      if (this.#expects === 'end' && !this.#inCase()) throw this.#error('a ( behind a command');
      this.#open.push({ closer: ')', body: true });
    } else if (operator === ')' && this.#open.at(-1)?.closer === ')') {
      this.#close(')');
      return;
    } else if (operator === ';;' && !this.#inCase()) throw this.#error('a ;; outside of case');
    else if (!((operator === ')' || operator === ';;') && this.#inCase()) && this.#expects !== 'end') {
      throw this.#error(`a ${operator} without a command`);
    } else if (operator === ')' && !this.#inCase()) throw this.#error('a ) too many');
    const joins = operator === '&&' || operator === '||' || operator === '|';
    this.#expects = joins || operator === '(' ? 'command' : 'anything';
    this.#conditional = this.#always || joins;
  }

  #inCase(): boolean {
    return this.#open.at(-1)?.closer === 'esac';
  }

  #close(closer: string): void {
    const open = this.#open.pop();
    const empty = this.#expects === 'command' && closer !== 'esac';
    if (open?.closer !== closer || !open.body || empty) throw this.#error(`${closer} without what it ends`);
    this.#expects = 'end';
  }

  #reserved(token: Word): boolean {
    const text = literal(token);
    if (text === null) return false;
    const closer = openers[text];
    if (closers.has(text)) this.#close(text);
    else if (this.#expects === 'end') return false;
    else if (closer !== undefined) {
      this.#open.push({ closer, body: closer === '}' || closer === 'esac' });
      this.#expects =
        text === 'case' ? 'anything' : text === 'for' || text === 'select' ? 'anything' : 'command';
      if (text === 'for' || text === 'select' || text === 'case') this.#loopVariable(text);
    } else if (text === '[[' && this.#files.dialect === 'bash') this.#test();
    else if (text === 'function' && this.#files.dialect === 'bash') {
      const name = this.#lexer.next();
      if (name?.kind === 'word') this.#functions.add(literal(name) ?? '');
    } else return this.#between(text);
    return true;
  }

  #between(text: string): boolean {
    const wanted = between.get(text);
    if (wanted === undefined) return text === '!';
    const open = this.#open.at(-1);
    const starts = text === 'then' || text === 'do';
    if (open?.closer !== wanted || open.body === starts || this.#expects === 'command') {
      throw this.#error(`${text} out of place`);
    }
    open.body = text !== 'elif';
    this.#expects = 'command';
    return true;
  }

  /** Bash's `[[ .. ]]`, in which operators mean something else. */
  #test(): void {
    for (let next = this.#lexer.next(); next !== null; next = this.#lexer.next()) {
      if (next.kind === 'word' && literal(next) === ']]') {
        this.#expects = 'end';
        return;
      }
    }
    throw this.#error(']] is missing');
  }

  /** `for NAME in ...` and `case WORD in`. */
  #loopVariable(keyword: string): void {
    const name = this.#lexer.next();
    const text = name?.kind === 'word' ? literal(name) : null;
    if (keyword !== 'case' && text !== null) this.#forget(text, `a loop sets ${text}`, name!.start);
    if (keyword !== 'case') return;
    for (let next = this.#lexer.next(); next !== null; next = this.#lexer.next()) {
      if (next.kind === 'word' && literal(next) === 'in') return;
      if (next.kind === 'operator' && next.text !== '\n') break;
    }
    throw this.#error('case without in');
  }

  /** @param end the operator behind it */
  #command(words: readonly Word[], end: string | null): void {
    if (words.length === 0) return;
    const uncertain = this.#conditional || this.#open.length > 0 || end === '|' || end === '&';
    const first = words.findIndex(word => this.#assignment(word) === null);
    if (first < 0) {
      for (const word of words) this.#assign(this.#assignment(word)!, uncertain);
      return;
    }
    // In front of a command they are its environment; with a special one they stay, depending on the shell.
    for (const word of words.slice(0, first)) this.#forgetWord(word, 'a command has it in its environment');
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
      stop(name ?? 'the name of the command is not written out');
    } else if (/^[A-Za-z_]\w*\+=/.test(name)) {
      stop('the sh of this host does not know +=');
    }
  }

  #sourceOther(path: string, uncertain: boolean, stop: (why: string) => void): void {
    const text = this.#files.read(path);
    if (text === null) {
      // A shell script ends where it sources what is not there.
      if (!uncertain) stop(`${path} does not exist`);
    } else if (this.#depth >= maxSources) stop('files source each other');
    else new Script(path, text, uncertain, this.#files, this.#variables, this.#depth + 1).run();
  }

  #declare(word: Word, uncertain: boolean): void {
    const assignment = this.#assignment(word);
    if (assignment !== null) {
      // Without quotes its value is split into words, by some shells.
      const bare = assignment.parts.some(part => part.kind === 'parameter');
      if (bare) this.#forget(assignment.name, 'a value without quotes', word.start);
      else this.#assign(assignment, uncertain);
      return;
    }
    const text = literal(word);
    const understood = text !== null && (identifier.test(text) || /^-[xrg]+$/.test(text));
    if (!understood) this.#variables.break(this.#place('a declaration', word.start));
  }

  /** `NAME=`, `NAME+=`: letters that are neither quoted nor escaped, as the word begins. */
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
      this.#forget(name, 'a condition decides about it', start);
      return;
    }
    const value = this.#expand(assignment.parts, start);
    const before = append ? this.#variables.value(name) : noValue;
    const letters = [...before.letters, ...value.letters];
    const home = hasTilde(assignment.parts) ? this.#place("~ is somebody's home", start) : null;
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

  /** @param at where the word is, for what is said of it */
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
    // What grub-mkconfig and its like have set themselves, or the environment, cannot be seen here.
    if (!isSet && !name.startsWith('GRUB_')) {
      return { ...noValue, unknown: this.#place(`$${name} is not set in these files`, at) };
    }
    if (operator === null || value.unknown !== null) return value;
    const filled = isSet && (!operator.startsWith(':') || value.letters.length > 0);
    const alternative = operator.endsWith('+') ? filled : !filled;
    if (alternative) return this.#expand(part.word, at);
    return operator.endsWith('+') ? noValue : value;
  }

  #isArray(word: Word): boolean {
    if (this.#files.dialect !== 'bash') return false;
    const assignment = this.#assignment(word);
    return assignment !== null && assignment.parts.length === 0;
  }

  /** `NAME=(a b c)` of bash. */
  #array(word: Word): void {
    const assignment = this.#assignment(word)!;
    this.#lexer.next();
    const before = assignment.append ? this.#variables.value(assignment.name) : noValue;
    const elements = [...(before.elements ?? (before.letters.length > 0 ? [valueText(before)] : []))];
    let unknown = before.unknown;
    for (;;) {
      const token = this.#lexer.next();
      if (token === null) throw this.#error('an array is not closed');
      if (token.kind === 'operator') {
        if (token.text === ')') break;
        if (token.text !== '\n') throw this.#error('an array is not closed');
        continue;
      }
      const value = this.#expand(token.parts, token.start);
      unknown ??= value.unknown;
      elements.push(valueText(value));
    }
    if (this.#conditional || this.#open.length > 0) {
      unknown = this.#place('a condition decides about it', word.start);
    }
    this.#variables.set(assignment.name, { letters: [], from: [assignment], elements, unknown });
  }

  #forgetWord(word: Word, why: string): void {
    const assignment = this.#assignment(word);
    const name = assignment?.name ?? literal(word);
    if (name !== null && identifier.test(name)) this.#forget(name, why, word.start);
  }

  /** The variable's value is not known any more. */
  #forget(name: string, why: string, at: number): void {
    const before = this.#variables.value(name);
    this.#variables.set(name, { ...before, unknown: this.#place(why, at) });
  }

  #place(why: string, at: number): string {
    return `${this.#file}, line ${this.#line(at)}: ${why}`;
  }

  #error(reason: string): ShellSyntaxError {
    return new ShellSyntaxError(reason, this.#line());
  }

  /** Counted on from the last one asked for, as they mostly follow each other. */
  #line(at = this.#position): number {
    const { offset, line } = at < this.#known.offset ? { offset: 0, line: 1 } : this.#known;
    this.#known = { offset: at, line: line + lineOf(this.#text.slice(offset, at), at - offset) - 1 };
    return this.#known.line;
  }
}

/** The text of a word without quotes and expansions; null for any other. */
function literal(word: Word): string | null {
  if (word.parts.length > 1) return null;
  const part = word.parts[0];
  if (part === undefined) return '';
  if (part.kind !== 'text' || part.quote !== 'none') return null;
  return part.letters.map(letter => letter.text).join('');
}

/** An unquoted `~` where a shell puts a home directory. */
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
