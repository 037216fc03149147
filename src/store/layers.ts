import { type TextEdit, textEdit } from '../text/text-edit.ts';
import type { PickLayer } from './pick-layer.ts';
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

/** What was typed into a form, by field; a field that is not here has its default. */
export type FormValues = Readonly<Record<string, string>>;

/** A line of a form. */
export type FormField = {
  readonly key: string;
  readonly label: string;
  /** What may be typed. */
  readonly hint: string;
  /** A choice of these instead of text. */
  readonly choices?: readonly string[];
  /** Choices that are not there in this version, in a few words for the line itself. */
  readonly missingChoices?: string;
  /** `yes` or `no`, toggled. */
  readonly checkbox?: true;
  /** The path of a file, which Tab completes. */
  readonly path?: true;
  /** Words that Tab completes. */
  readonly words?: readonly string[];
  /** Empty is a value of its own; otherwise an empty field has its default. */
  readonly mayBeEmpty?: true;
};

/** What a form asks. */
export interface Form {
  readonly title: string;
  /** The button below the fields. */
  readonly button: string;
  /** A word for the key that does the same. */
  readonly done: string;
  /** The lines for what is chosen. */
  fields(values: FormValues): readonly FormField[];
  /** What was typed into a field, else its default. */
  value(values: FormValues, field: FormField): string;
  /** What is wrong with a field, in a sentence; null when nothing is. */
  problem(values: FormValues, field: FormField): string | null;
  /** What to know about a field that is not wrong; null: nothing. */
  note(values: FormValues, field: FormField): string | null;
  changed(values: FormValues): void;
  /** Nothing is wrong with any field. */
  submit(values: FormValues): void;
  leave(values: FormValues): void;
}

export type FormLayer = {
  readonly kind: 'form';
  readonly form: Form;
  readonly values: FormValues;
  /** Index of the field that has the focus; after the last one comes the button. */
  readonly focus: number;
  readonly edit: TextEdit;
  /** The field shows its default, which the first character typed replaces. */
  readonly fresh: boolean;
  /** What the path that is being typed may become. */
  readonly candidates: readonly string[];
  /** The button was pressed: what is wrong is shown at fields that were not touched, too. */
  readonly submitted: boolean;
};

/** A form with what was typed into it before, and the focus on one of its fields. */
export function formLayer(form: Form, values: FormValues, focus = 0, submitted = false): FormLayer {
  const field = form.fields(values)[focus];
  const text = field === undefined ? '' : form.value(values, field);
  const fresh = field !== undefined && values[field.key] === undefined && text !== '';
  const edit = fresh ? { text, cursor: 0 } : textEdit(text);
  return { kind: 'form', form, values, focus, edit, fresh, candidates: [], submitted };
}

/** What is wrong with a field, once the user has had a chance to get it right. */
export function shownProblem({ form, values, submitted }: FormLayer, field: FormField): string | null {
  return submitted || values[field.key] !== undefined ? form.problem(values, field) : null;
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
  /** @throws what is wrong with the value, in a sentence: it can be corrected then */
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
  | PickLayer
  | PlanLayer
  | PromptLayer
  | FieldLayer
  /** The columns that a list can be sorted by. */
  | { readonly kind: 'sort' }
  /** The keyboard is the guest's, but for Ctrl-]. */
  | { readonly kind: 'console'; readonly id: string };
