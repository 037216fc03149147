import { type TextEdit, textEdit } from '../text/text-edit.ts';
import type { PickLayer } from './pick-layer.ts';
import type { PlanLayer } from './plan-layer.ts';

/** What a dangerous action asks for confirmation. */
export type Question = {
  readonly title: string;
  /** What would be lost, in a sentence or two. */
  readonly body: string;
  /** The label of the confirming button. */
  readonly verb: string;
};

/** A button of a dialog, which closes it. */
export type Choice = {
  readonly label: string;
  /** Default: it only closes the dialog. */
  readonly run?: () => void;
};

export type DialogLayer = {
  readonly kind: 'dialog';
  /** Distinguishes it from dialogs that were closed before. */
  readonly ticket: symbol;
  readonly title: string;
  readonly body: string;
  /** The first choice loses nothing, and has the focus initially. */
  readonly choices: readonly Choice[];
  /** Index of the focused choice. */
  readonly focus: number;
  /** The first visible line of the body. */
  readonly offset: number;
};

/** Text typed into a form, by field; a missing field has its default. */
export type FormValues = Readonly<Record<string, string>>;

/** A line of a form. */
export type FormField = {
  readonly key: string;
  readonly label: string;
  /** What may be typed. */
  readonly hint: string;
  /** Selects one of these instead of free text. */
  readonly choices?: readonly string[];
  /** Choices that this version lacks, in a few words for the line itself. */
  readonly missingChoices?: string;
  /** `yes` or `no`, toggled. */
  readonly checkbox?: true;
  /** A file path, which Tab completes. */
  readonly path?: true;
  /** Words that Tab completes. */
  readonly words?: readonly string[];
  /** Empty is a valid value; otherwise an empty field has its default. */
  readonly mayBeEmpty?: true;
};

/** The questions of a form. */
export interface Form {
  readonly title: string;
  /** The button below the fields. */
  readonly button: string;
  /** A word for the key that does the same. */
  readonly done: string;
  /** The fields for the present choices. */
  fields(values: FormValues): readonly FormField[];
  /** The text typed into a field, else its default. */
  value(values: FormValues, field: FormField): string;
  /** What is wrong with a field, in a sentence; null if it is valid. */
  problem(values: FormValues, field: FormField): string | null;
  /** A note about a valid field; null if there is none. */
  note(values: FormValues, field: FormField): string | null;
  changed(values: FormValues): void;
  /** Called once every field is valid. */
  submit(values: FormValues): void;
  leave(values: FormValues): void;
}

export type FormLayer = {
  readonly kind: 'form';
  readonly form: Form;
  readonly values: FormValues;
  /** Index of the focused field; the button comes after the last one. */
  readonly focus: number;
  readonly edit: TextEdit;
  /** The field shows its default, which the first character typed replaces. */
  readonly fresh: boolean;
  /** Completions of the path being typed. */
  readonly candidates: readonly string[];
  /** The button was pressed: errors are shown at untouched fields, too. */
  readonly submitted: boolean;
};

/** A text that the first character typed replaces. */
export function suggestedText(text: string): { readonly edit: TextEdit; readonly fresh: boolean } {
  return { edit: { text, cursor: 0 }, fresh: true };
}

/** A form with earlier input, and the focus on one of its fields. */
export function formLayer(form: Form, values: FormValues, focus = 0, submitted = false): FormLayer {
  const field = form.fields(values)[focus];
  const text = field === undefined ? '' : form.value(values, field);
  const isDefault = field !== undefined && values[field.key] === undefined && text !== '';
  const typed = isDefault ? suggestedText(text) : { edit: textEdit(text), fresh: false };
  return { kind: 'form', form, values, focus, ...typed, candidates: [], submitted };
}

/** What is wrong with a field, once the user has had a chance to get it right. */
export function shownProblem({ form, values, submitted }: FormLayer, field: FormField): string | null {
  return submitted || values[field.key] !== undefined ? form.problem(values, field) : null;
}

/** A text for reading. */
export type TextLayer = {
  readonly kind: 'text';
  readonly title: string;
  readonly lines: readonly string[];
  /** The first visible line. */
  readonly offset: number;
};

/** A value being typed: in a row of a list, or in the status line. */
export type PromptLayer = {
  readonly kind: 'prompt';
  /** What it is, and what may be typed. */
  readonly prompt: string;
  readonly edit: TextEdit;
  /** The text is a suggestion, which the first character typed replaces. */
  readonly fresh: boolean;
  /** The function in whose row it is typed; null for the status line. */
  readonly inRowOf: string | null;
  /** For a number: only digits are accepted, and up and down count, starting from `now`. */
  readonly range: { readonly least: number; readonly most: number; readonly now: number } | null;
  /** @throws what is wrong with the value, in a sentence; the user can then correct it */
  readonly submit: (text: string) => void;
};

/** A line of text typed at the bottom. */
export type FieldLayer = {
  readonly kind: 'field';
  readonly purpose: 'command' | 'filter' | 'search';
  readonly edit: TextEdit;
  /** How many command lines back the recalled one is. */
  readonly recalled?: number;
};

/** A layer over the screen that takes the keys while it is open. */
export type Layer =
  | { readonly kind: 'help'; readonly offset: number }
  | { readonly kind: 'about'; readonly id: string; readonly offset: number }
  | DialogLayer
  | FormLayer
  | TextLayer
  | PickLayer
  | PlanLayer
  | PromptLayer
  | FieldLayer
  /** The columns by which a list can be sorted. */
  | { readonly kind: 'sort' }
  /** The guest has the keyboard, except for Ctrl-]. */
  | { readonly kind: 'console'; readonly id: string };
