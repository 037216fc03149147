import { type TextEdit, textEdit } from '../text/text-edit.ts';
import type { PlanLayer } from './plan-layer.ts';

/** What a dangerous action asks before it happens. */
export type Question = {
  readonly title: string;
  /** What will be lost, in a sentence or two. */
  readonly body: string;
  /** The button that does it. */
  readonly verb: string;
};

/** A button of a dialog, which closes it. */
export type Choice = {
  readonly label: string;
  /** Absent: it does nothing more. */
  readonly run?: () => void;
};

export type DialogLayer = {
  readonly kind: 'dialog';
  /** Tells it from others that were closed before. */
  readonly ticket: symbol;
  readonly title: string;
  readonly body: string;
  /** The first is the one that loses nothing, and where the focus starts. */
  readonly choices: readonly Choice[];
  /** Index of the choice that has the focus. */
  readonly focus: number;
  /** First line of the body that is shown. */
  readonly offset: number;
};

/** What was typed into a form, by field; a field that is not here is as it is by itself. */
export type FormValues = Readonly<Record<string, string>>;

/** A line of a form. */
export type FormField = {
  readonly key: string;
  readonly label: string;
  /** What may be typed. */
  readonly hint: string;
  /** One of these, in place of a text. */
  readonly choices?: readonly string[];
};

/** What a form asks. */
export interface Form {
  readonly title: string;
  /** The lines that there are for what is chosen. */
  fields(values: FormValues): readonly FormField[];
  /** What was typed into a field, else what it is by itself. */
  value(values: FormValues, field: FormField): string;
  /** What is wrong with a field, in a sentence; null when nothing is. */
  problem(values: FormValues, field: FormField): string | null;
  changed(values: FormValues): void;
  /** Nothing is wrong with any field. */
  submit(values: FormValues): void;
  leave(values: FormValues): void;
}

export type FormLayer = {
  readonly kind: 'form';
  readonly form: Form;
  readonly values: FormValues;
  /** The line that is being typed, of those that there are. */
  readonly focus: number;
  readonly edit: TextEdit;
};

/** A form with what was typed into it before, and the focus on one of its fields. */
export function formLayer(form: Form, values: FormValues, focus = 0): FormLayer {
  const edit = textEdit(form.value(values, form.fields(values)[focus]!));
  return { kind: 'form', form, values, focus, edit };
}

/** A text to be read. */
export type TextLayer = {
  readonly kind: 'text';
  readonly title: string;
  readonly lines: readonly string[];
  /** First line that is shown. */
  readonly offset: number;
};

/** A value that is being typed: in the row of a list, or in the status line. */
export type PromptLayer = {
  readonly kind: 'prompt';
  /** What it is, and what may be typed. */
  readonly prompt: string;
  readonly edit: TextEdit;
  /** The function in whose row it is typed; null: in the status line. */
  readonly inRowOf: string | null;
  /** A number: nothing but digits is taken, and up and down count, at first from what it is now. */
  readonly range: { readonly least: number; readonly most: number; readonly now: number } | null;
  /** @throws what is wrong with the value, in a sentence: it may be mended then */
  readonly submit: (text: string) => void;
};

/** A line of text that is typed at the bottom. */
export type FieldLayer = {
  readonly kind: 'field';
  readonly purpose: 'command' | 'filter' | 'search';
  readonly edit: TextEdit;
  /** How many command lines back the one is that was recalled. */
  readonly recalled?: number;
};

/** Something over the screen that takes the keys while it is there. */
export type Layer =
  | { readonly kind: 'help'; readonly offset: number }
  | { readonly kind: 'about'; readonly id: string; readonly offset: number }
  | DialogLayer
  | FormLayer
  | TextLayer
  | PlanLayer
  | PromptLayer
  | FieldLayer
  /** The keyboard is the guest's, but for Ctrl-]. */
  | { readonly kind: 'console'; readonly id: string };
