import { type Form, type FormField, type FormValues, formLayer, type Question } from '../store/layers.ts';
import type { Ui } from './ui.ts';

/** The text typed into a field, or its default, trimmed. */
export type FieldValue = (key: string) => string;

/** A form whose button runs an operation that takes a while and may fail. */
export type WorkingForm = Pick<Form, 'title' | 'button' | 'done'> & {
  readonly fields: readonly FormField[];
  /** The defaults of untouched fields, which may depend on the others. */
  defaults(values: FormValues): FormValues;
  /** The field at which failures are shown. */
  readonly main: string;
  /** What is wrong with a field, in a sentence; null if it is valid. */
  problem(value: FieldValue, key: string): string | null;
  /** A note about a valid field; null if there is none. */
  note?(value: FieldValue, key: string): string | null;
  /** The confirmation question; null if none. */
  question?(value: FieldValue): Question | null;
  /** @returns the outcome, in a sentence. @throws an error for the user */
  run(value: FieldValue): Promise<string>;
};

/**
 * Opens a form, which stays until its operation succeeds. Failures are shown at its main field, and can be corrected.
 */
export function openWorkingForm(ui: Ui, asked: WorkingForm): void {
  const { title, button, done, fields, main } = asked;
  const typed = (values: FormValues, key: string) => values[key] ?? asked.defaults(values)[key] ?? '';
  const valuesIn =
    (values: FormValues): FieldValue =>
    key =>
      typed(values, key).trim();
  /** Why the operation failed with the present values. */
  let failure: string | null = null;
  let isBusy = false;
  const form: Form = {
    title,
    button,
    done,
    fields: () => fields,
    value: (values, { key }) => typed(values, key),
    problem: (values, { key }) => asked.problem(valuesIn(values), key),
    // A retry may succeed, so this is a note, not a problem that blocks it.
    note: (values, { key }) =>
      key === main && failure !== null ? failure : (asked.note?.(valuesIn(values), key) ?? null),
    changed: () => {
      failure = null;
    },
    submit: values => {
      if (isBusy) return;
      const question = asked.question?.(valuesIn(values)) ?? null;
      if (question === null) void work(values);
      else ui.ask(question, () => void work(values));
    },
    leave: () => {},
  };
  const work = async (values: FormValues) => {
    isBusy = true;
    try {
      const text = await asked.run(valuesIn(values));
      ui.store.setState(({ layers }) => ({
        layers: layers.filter(layer => layer.kind !== 'form' || layer.form !== form),
      }));
      ui.notify('info', text);
    } catch (error) {
      failure = (error as Error).message;
      ui.notify('error', failure);
      const top = ui.store.getState().layers.at(-1);
      if (top?.kind === 'form' && top.form === form)
        ui.store.getState().changeLayer(formLayer(form, top.values, 0, true));
    } finally {
      isBusy = false;
    }
  };
  ui.clearNotice();
  ui.store.getState().pushLayer(formLayer(form, {}));
}
