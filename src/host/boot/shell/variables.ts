import type { Letter, Part } from './lexer.ts';

/** A character of a variable's value, with the file it was written in. */
export type PlacedLetter = Letter & { readonly file: string };

/** `NAME=value` and its position in a file. */
export type Assignment = {
  readonly file: string;
  readonly name: string;
  /** Offsets of the value; equal if it is empty. */
  readonly start: number;
  readonly end: number;
  readonly parts: readonly Part[];
};

export type ShellValue = {
  readonly letters: readonly PlacedLetter[];
  /** The assignments that contribute to the value, in execution order. */
  readonly from: readonly Assignment[];
  /** Elements of an array; `letters` is empty then. */
  readonly elements: readonly string[] | null;
  /** Why the value is not known without running the files, with the position; null if it is known. */
  readonly unknown: string | null;
};

export const noValue: ShellValue = { letters: [], from: [], elements: null, unknown: null };
export function valueText(value: ShellValue): string {
  return value.letters.map(letter => letter.text).join('');
}

/** The variables of shell files that are sourced in order, without running anything. */
export class ShellVariables {
  readonly #values = new Map<string, ShellValue>();
  #broken: string | null = null;

  /** A variable's value; empty if nothing sets it. */
  value(name: string): ShellValue {
    const value = this.#values.get(name) ?? noValue;
    return this.#broken === null ? value : { ...value, unknown: this.#broken };
  }

  has(name: string): boolean {
    return this.#values.has(name);
  }

  set(name: string, value: ShellValue): void {
    this.#values.set(name, value);
  }

  unset(name: string): void {
    this.#values.delete(name);
  }

  /** From here on, no value is known. */
  break(why: string): void {
    this.#broken ??= why;
  }
}
