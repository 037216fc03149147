import { own } from '../../../text/own.ts';
import { type Dialect, lineOf, ShellLexer, ShellSyntaxError, type Token } from './lexer.ts';

export type Word = Extract<Token, { kind: 'word' }>;

/** A statement that changes variables, in execution order; `uncertain`: it may not run, or not in this process. */
export type Statement =
  | { readonly kind: 'command'; readonly words: readonly Word[]; readonly uncertain: boolean }
  /** `NAME=(a b c)` of bash; the word is everything before the parenthesis. */
  | {
      readonly kind: 'array';
      readonly word: Word;
      readonly elements: readonly Word[];
      readonly uncertain: boolean;
    }
  /** `for NAME in ...` */
  | { readonly kind: 'loop'; readonly name: string; readonly at: number }
  | { readonly kind: 'function'; readonly name: string };

const identifier = /^[A-Za-z_]\w*$/;
/** More than any configuration has, and few enough to parse quickly. */
const maxStatements = 2048;
const maxLength = 131_072;

/** Closing words of compound commands by their opening words. */
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
/** Words within a compound command by its closing word. */
const between: ReadonlyMap<string, string> = new Map([
  ['then', 'fi'],
  ['else', 'fi'],
  ['elif', 'fi'],
  ['do', 'done'],
]);

/** The grammar of a shell script (POSIX.1-2017, Shell Command Language, 2.10), as far as it affects variables. */
export class ShellParser {
  readonly #text: string;
  readonly #dialect: Dialect;
  readonly #lexer: ShellLexer;
  readonly #found: Statement[] = [];
  /** The open compound commands; `body`: the `then` or `do` has been read. */
  readonly #open: { readonly closer: string; body: boolean }[] = [];
  /** What the grammar allows next: only a command, a command or the end of a list, or only the end of the list. */
  #expects: 'command' | 'anything' | 'end' = 'anything';
  /** The statement runs only if another one succeeds, or in a subshell. */
  #conditional = false;
  #statements = 0;
  /** Where the last token began. */
  #position = 0;

  constructor(text: string, dialect: Dialect) {
    this.#text = text;
    this.#dialect = dialect;
    this.#lexer = new ShellLexer(text, dialect);
  }

  /** The next statement; null at the end. @throws ShellSyntaxError */
  next(): Statement | null {
    for (let more = true; more && this.#found.length === 0; ) more = this.#statement();
    const statement = this.#found.shift();
    if (statement !== undefined) return statement;
    const open = this.#open.at(-1);
    if (open !== undefined) throw this.#error(`${open.closer} is missing`);
    if (this.#expects === 'command') throw this.#error('a command is missing at the end');
    return null;
  }

  /**
   * Reads one simple command with the operator that follows it, or a word of a compound command.
   * @returns false at the end.
   */
  #statement(): boolean {
    const words: Word[] = [];
    if (++this.#statements > maxStatements || this.#text.length > maxLength)
      throw this.#error('the file is too long');
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
        throw this.#error(`${literal(token) ?? 'a word'} after a compound command`);
      words.push(token);
      if (this.#lexer.follows('(') && this.#isArray(token)) {
        this.#array(words.pop()!);
        this.#expects = 'end';
      }
    }
  }

  /** `name()`: its body does not run now. */
  #function(words: readonly Word[]): void {
    const close = this.#lexer.next();
    const name = literal(words[0]!) ?? '';
    if (!identifier.test(name) || words.length > 1 || close?.kind !== 'operator' || close.text !== ')')
      throw this.#error('unexpected ( in a command');
    this.#found.push({ kind: 'function', name });
    this.#expects = 'command';
  }

  /** Skips a redirection: it does not affect variables. */
  #joins(operator: string, words: Word[]): boolean {
    if (!/[<>]/.test(operator)) return false;
    const target = this.#lexer.next();
    if (target?.kind !== 'word') throw this.#error('a redirection has no target');
    // A file descriptor before it is not an argument.
    if (words.length > 1 && /^\d$/.test(literal(words.at(-1)!) ?? '')) words.pop();
    return true;
  }

  #operator(operator: string): void {
    if (operator === '\n') {
      // A list continues after `&&` and a newline.
      if (this.#expects === 'command') return;
    } else if (operator === '(') {
      if (this.#expects === 'end' && !this.#inCase()) throw this.#error('unexpected ( after a command');
      this.#open.push({ closer: ')', body: true });
    } else if (operator === ')' && this.#open.at(-1)?.closer === ')') {
      this.#close(')');
      return;
    } else if (operator === ';;' && !this.#inCase()) throw this.#error('unexpected ;; outside case');
    else if (!((operator === ')' || operator === ';;') && this.#inCase()) && this.#expects !== 'end') {
      throw this.#error(`a ${operator} without a command`);
    } else if (operator === ')' && !this.#inCase()) throw this.#error('unexpected )');
    const joins = operator === '&&' || operator === '||' || operator === '|';
    this.#expects = joins || operator === '(' ? 'command' : 'anything';
    this.#conditional = joins;
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
    const closer = own(openers, text);
    if (closers.has(text)) this.#close(text);
    else if (this.#expects === 'end') return false;
    else if (closer !== undefined) {
      this.#open.push({ closer, body: closer === '}' || closer === 'esac' });
      this.#expects =
        text === 'case' ? 'anything' : text === 'for' || text === 'select' ? 'anything' : 'command';
      if (text === 'for' || text === 'select' || text === 'case') this.#loopVariable(text);
    } else if (text === '[[' && this.#dialect === 'bash') this.#test();
    else if (text === 'function' && this.#dialect === 'bash') {
      const name = this.#lexer.next();
      if (name?.kind === 'word') this.#found.push({ kind: 'function', name: literal(name) ?? '' });
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

  /** Bash's `[[ .. ]]`, in which operators have other meanings. */
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
    if (keyword !== 'case' && text !== null) this.#found.push({ kind: 'loop', name: text, at: name!.start });
    if (keyword !== 'case') return;
    for (let next = this.#lexer.next(); next !== null; next = this.#lexer.next()) {
      if (next.kind === 'word' && literal(next) === 'in') return;
      if (next.kind === 'operator' && next.text !== '\n') break;
    }
    throw this.#error('case without in');
  }

  #command(words: readonly Word[], end: string | null): void {
    if (words.length === 0) return;
    const uncertain = this.#uncertain || end === '|' || end === '&';
    this.#found.push({ kind: 'command', words, uncertain });
  }

  get #uncertain(): boolean {
    return this.#conditional || this.#open.length > 0;
  }

  #isArray(word: Word): boolean {
    return this.#dialect === 'bash' && /^[A-Za-z_]\w*\+?=$/.test(literal(word) ?? '');
  }

  #array(word: Word): void {
    this.#lexer.next();
    const elements: Word[] = [];
    for (;;) {
      const token = this.#lexer.next();
      if (token === null) throw this.#error('an array is not closed');
      if (token.kind === 'word') elements.push(token);
      else if (token.text === ')') break;
      else if (token.text !== '\n') throw this.#error('an array is not closed');
    }
    this.#found.push({ kind: 'array', word, elements, uncertain: this.#uncertain });
  }

  #error(reason: string): ShellSyntaxError {
    return new ShellSyntaxError(reason, lineOf(this.#text, this.#position));
  }
}

/** The text of a word without quotes and expansions; null for other words. */
export function literal(word: Word): string | null {
  if (word.parts.length > 1) return null;
  const part = word.parts[0];
  if (part === undefined) return '';
  if (part.kind !== 'text' || part.quote !== 'none') return null;
  return part.letters.map(letter => letter.text).join('');
}
