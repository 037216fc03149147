/**
 * Words and operators of a shell script (POSIX.1-2017, Shell Command Language, 2.2 and 2.3; bash on request),
 * each character with its position. Nothing is executed: a value known only at run time is `opaque`.
 */

/** `posix` is dash and similar shells; `bash` adds `$'..'`, `+=` and arrays. */
export type Dialect = 'posix' | 'bash';

export type Quote = 'none' | 'single' | 'double' | 'ansi';

/** One character of a word's value. */
export type Letter = {
  readonly text: string;
  /** Offsets in the file: two characters apart for an escaped one. */
  readonly start: number;
  readonly end: number;
  readonly quote: Quote;
};

export type Part =
  | {
      readonly kind: 'text';
      readonly letters: readonly Letter[];
      readonly quote: Quote;
      readonly end: number;
    }
  /** A double-quoted string with expansions in it. */
  | { readonly kind: 'string'; readonly parts: readonly Part[]; readonly end: number }
  | {
      readonly kind: 'parameter';
      readonly name: string;
      readonly quoted: boolean;
      /** `:-`, `-`, `:+` or `+`, with the word that follows it. */
      readonly operator: string | null;
      readonly word: readonly Part[];
      readonly end: number;
    }
  | { readonly kind: 'opaque'; readonly why: string; readonly end: number };

export type Token =
  | { readonly kind: 'word'; readonly parts: readonly Part[]; readonly start: number; readonly end: number }
  | { readonly kind: 'operator'; readonly text: string; readonly start: number; readonly end: number };

/** A shell would reject the text, or this parser does not support it; names the line. */
export class ShellSyntaxError extends Error {
  readonly line: number;

  constructor(reason: string, line: number) {
    super(`line ${line}: ${reason}`);
    this.name = 'ShellSyntaxError';
    this.line = line;
  }
}

export function lineOf(text: string, offset: number): number {
  let line = 1;
  for (let at = text.indexOf('\n'); at >= 0 && at < offset; at = text.indexOf('\n', at + 1)) line++;
  return line;
}

const operators = [
  '&&',
  '||',
  ';;',
  '<<',
  '>>',
  '>&',
  '<&',
  '>|',
  '<>',
  ';',
  '&',
  '|',
  '(',
  ')',
  '<',
  '>',
  '\n',
];
const ansiEscapes: Readonly<Record<string, string>> = {
  n: '\n',
  t: '\t',
  r: '\r',
  a: '\x07',
  b: '\b',
  e: '\x1b',
  f: '\f',
  v: '\v',
  '\\': '\\',
  "'": "'",
  '"': '"',
  '?': '?',
};
/** Nested substitutions: no real file has as many levels. */
const maxDepth = 50;

export class ShellLexer {
  readonly #text: string;
  readonly #dialect: Dialect;
  #at = 0;
  #depth = 0;

  constructor(text: string, dialect: Dialect) {
    this.#text = text;
    this.#dialect = dialect;
  }

  /** The next word or operator, `\n` among them; null at the end. @throws ShellSyntaxError */
  next(): Token | null {
    this.#skipBlanks();
    const start = this.#at;
    if (start >= this.#text.length) return null;
    const operator = operators.find(each => this.#text.startsWith(each, start));
    if (operator === '<<') throw this.#error('here-documents are not supported');
    if (operator !== undefined) {
      this.#at += operator.length;
      return { kind: 'operator', text: operator, start, end: this.#at };
    }
    const parts = this.#parts(() => /[ \t\n;&|<>()]/.test(this.#text[this.#at]!));
    return { kind: 'word', parts, start, end: this.#at };
  }

  /** Whether this text follows immediately. */
  follows(text: string): boolean {
    return this.#text.startsWith(text, this.#at);
  }

  #skipBlanks(): void {
    for (;;) {
      if (this.#text.startsWith('\\\n', this.#at)) this.#at += 2;
      else if (this.#text[this.#at] === '#') {
        const end = this.#text.indexOf('\n', this.#at);
        this.#at = end < 0 ? this.#text.length : end;
      } else if (this.#text[this.#at] === ' ' || this.#text[this.#at] === '\t') this.#at++;
      else return;
    }
  }

  /** Parts of an unquoted word, up to where `ends` is true; that character is not consumed. */
  #parts(ends: () => boolean): Part[] {
    const parts: Part[] = [];
    let letters: Letter[] = [];
    const flush = (): void => {
      if (letters.length > 0) parts.push({ kind: 'text', letters, quote: 'none', end: this.#at });
      letters = [];
    };
    while (this.#at < this.#text.length) {
      if (this.#text.startsWith('\\\n', this.#at)) {
        this.#at += 2;
        continue;
      }
      if (ends()) break;
      const start = this.#at;
      const char = this.#text[start]!;
      if (char === "'" || char === '"' || char === '`' || (char === '$' && this.#isExpansion())) {
        flush();
        parts.push(this.#special(char));
        continue;
      }
      this.#at += char === '\\' && start + 1 < this.#text.length ? 2 : 1;
      const text = this.#at - start === 2 ? this.#text[start + 1]! : char;
      letters.push({ text, start, end: this.#at, quote: 'none' });
    }
    flush();
    return parts;
  }

  #special(char: string): Part {
    if (char === "'") return this.#single();
    if (char === '"') return this.#double();
    return this.#expansion(false);
  }

  #single(): Part {
    const start = this.#at + 1;
    const close = this.#text.indexOf("'", start);
    if (close < 0) throw this.#error('a single quote is not closed');
    const letters = this.#text
      .slice(start, close)
      .split('')
      .map((text, index) => ({
        text,
        start: start + index,
        end: start + index + 1,
        quote: 'single' as const,
      }));
    this.#at = close + 1;
    return { kind: 'text', letters, quote: 'single', end: this.#at };
  }

  /** A double-quoted string without expansions is one text part; with expansions, a `string` of parts. */
  #double(): Part {
    const open = this.#at++;
    const inner = this.#doubleParts(() => this.#text[this.#at] === '"', open);
    this.#at++;
    const only = inner[0];
    if (inner.length === 0) return { kind: 'text', letters: [], quote: 'double', end: this.#at };
    if (inner.length === 1 && only!.kind === 'text') return { ...only!, end: this.#at };
    return { kind: 'string', parts: inner, end: this.#at };
  }

  #doubleParts(ends: () => boolean, open: number): Part[] {
    const parts: Part[] = [];
    let letters: Letter[] = [];
    const flush = (): void => {
      if (letters.length > 0) parts.push({ kind: 'text', letters, quote: 'double', end: this.#at });
      letters = [];
    };
    for (;;) {
      const start = this.#at;
      const char = this.#text[start];
      if (char === undefined) throw this.#error('a double quote is not closed', open);
      if (ends()) break;
      if (char === '"') throw this.#error('nested quotes in a string are not supported');
      if (char === '`' || (char === '$' && this.#isExpansion())) {
        flush();
        parts.push(this.#expansion(true));
        continue;
      }
      const escaped = char === '\\' ? this.#text[start + 1] : undefined;
      this.#at += escaped !== undefined && '$`"\\\n'.includes(escaped) ? 2 : 1;
      if (escaped === '\n') continue;
      const text = this.#at - start === 2 ? escaped! : char;
      letters.push({ text, start, end: this.#at, quote: 'double' });
    }
    flush();
    return parts;
  }

  /** Whether a dollar sign begins an expansion. */
  #isExpansion(): boolean {
    return /^\$[\w{('"*@#?$!-]/.test(this.#text.slice(this.#at, this.#at + 2));
  }

  #expansion(quoted: boolean): Part {
    const start = this.#at;
    const opaque = (why: string): Part => ({ kind: 'opaque', why, end: this.#at });
    if (++this.#depth > maxDepth) throw this.#error('substitutions are nested too deeply');
    try {
      if (this.#text[start] === '`') {
        this.#at = this.#closingBackquote(start);
        return opaque('a command substitution');
      }
      const rest = this.#text.slice(start + 1, start + 256);
      const name = /^[A-Za-z_]\w*/.exec(rest)?.[0];
      if (name !== undefined) {
        this.#at += 1 + name.length;
        return { kind: 'parameter', name, quoted, operator: null, word: [], end: this.#at };
      }
      if (rest.startsWith('(')) {
        this.#at += 2;
        this.#skipCommand(start);
        return opaque('a command substitution');
      }
      if (rest.startsWith('{')) return this.#braced(quoted, start);
      if (rest.startsWith("'") && !quoted) return this.#dollarQuote();
      if (rest.startsWith('"') || rest.startsWith("'")) {
        this.#at++;
        // "$" before the closing quote of a string is literal; $".." is for translation.
        if (quoted) {
          const letter = { text: '$', start, end: this.#at, quote: 'double' as const };
          return { kind: 'text', letters: [letter], quote: 'double', end: this.#at };
        }
        return opaque('$".."');
      }
      this.#at += 2;
      return opaque(`$${rest[0]}`);
    } finally {
      this.#depth--;
    }
  }

  #braced(quoted: boolean, start: number): Part {
    const head = /^\$\{([A-Za-z_]\w*)(\}|:?[-+])/.exec(this.#text.slice(start, start + 256));
    if (head === null) {
      this.#at += 2;
      this.#skipBraces(start);
      return { kind: 'opaque', why: this.#text.slice(start, Math.min(this.#at, start + 40)), end: this.#at };
    }
    const name = head[1]!;
    this.#at += head[0].length;
    if (head[2] === '}') return { kind: 'parameter', name, quoted, operator: null, word: [], end: this.#at };
    const ends = (): boolean => this.#text[this.#at] === '}';
    const word = quoted ? this.#doubleParts(ends, start) : this.#parts(ends);
    if (this.#text[this.#at] !== '}') throw this.#error('a ${ is not closed', start);
    this.#at++;
    return { kind: 'parameter', name, quoted, operator: head[2]!, word, end: this.#at };
  }

  /** `$'..'` of bash; older versions of dash read a dollar sign and a single-quoted string. */
  #dollarQuote(): Part {
    const open = this.#at;
    const letters: Letter[] = [];
    this.#at += 2;
    let why = this.#dialect === 'bash' ? null : "$'..', which not every sh supports";
    for (;;) {
      const start = this.#at;
      const char = this.#text[start];
      if (char === undefined) throw this.#error('a single quote is not closed', open);
      this.#at++;
      if (char === "'") break;
      if (char !== '\\') {
        letters.push({ text: char, start, end: this.#at, quote: 'ansi' });
        continue;
      }
      const escaped = this.#text[this.#at++];
      const plain = escaped === undefined ? undefined : ansiEscapes[escaped];
      if (plain === undefined) why ??= `the escape \\${escaped ?? ''}`;
      else letters.push({ text: plain, start, end: this.#at, quote: 'ansi' });
    }
    if (why !== null) return { kind: 'opaque', why, end: this.#at };
    return { kind: 'text', letters, quote: 'ansi', end: this.#at };
  }

  #closingBackquote(start: number): number {
    for (let at = start + 1; at < this.#text.length; at++) {
      if (this.#text[at] === '\\') at++;
      else if (this.#text[at] === '`') return at + 1;
    }
    throw this.#error('a ` is not closed', start);
  }

  /** After `$(`: skips to the closing parenthesis. */
  #skipCommand(start: number): void {
    for (let depth = 1; depth > 0; ) {
      const token = this.next();
      if (token === null) throw this.#error('a $( is not closed', start);
      if (token.kind === 'operator' && token.text === '(') depth++;
      if (token.kind === 'operator' && token.text === ')') depth--;
    }
  }

  /** After `${` of an expansion that is not evaluated: skips to the closing brace. */
  #skipBraces(start: number): void {
    while (this.#text[this.#at] !== '}') {
      const char = this.#text[this.#at];
      if (char === undefined) throw this.#error('a ${ is not closed', start);
      if (char === '\\') this.#at += 2;
      else if (char === "'") this.#single();
      else if (char === '"') this.#double();
      else if (char === '`' || (char === '$' && this.#isExpansion())) this.#expansion(false);
      else this.#at++;
    }
    this.#at++;
  }

  #error(reason: string, at = this.#at): ShellSyntaxError {
    return new ShellSyntaxError(reason, lineOf(this.#text, at));
  }
}
