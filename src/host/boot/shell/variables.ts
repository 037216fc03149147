import type { Letter, Part } from './lexer.ts';

/** A character of a variable's value, with the file it was written in. */
export type PlacedLetter = Letter & { readonly file: string };

/** `NAME=value` at a place in a file. */
export type Assignment = {
  readonly file: string;
  readonly name: string;
  /** Of the value; equal where it is empty. */
  readonly start: number;
  readonly end: number;
  readonly parts: readonly Part[];
};

export type ShellValue = {
  readonly letters: readonly PlacedLetter[];
  /** Assignments that the value comes from, itself and those it refers to, in the order in which they are run. */
  readonly from: readonly Assignment[];
  /** Elements, where it is an array; its `letters` are then those of the first. */
  readonly elements: readonly string[] | null;
  /** Why the value cannot be known without running the files, with the place; null: it is known. */
  readonly unknown: string | null;
};

export const noValue: ShellValue = { letters: [], from: [], elements: null, unknown: null };
export function valueText(value: ShellValue): string {
  return value.letters.map(letter => letter.text).join('');
}

/** The variables of shell files that are sourced one after another, without running anything. */
export class ShellVariables {
  readonly #values = new Map<string, ShellValue>();
  #broken: string | null = null;

  /** A variable's value; '' where nothing sets it. */
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

  /** From here on nothing is known. */
  break(why: string): void {
    this.#broken ??= why;
  }
}
