import { type Form, type FormField, type FormValues, formLayer, type Question } from '../store/layers.ts';
import type { Ui } from './ui.ts';

/** What was typed into a field, or its default, without blanks around it. */
export type FieldValue = (key: string) => string;

/** A form whose button does something that takes its time, and may fail. */
export type WorkingForm = Pick<Form, 'title' | 'button' | 'done'> & {
  readonly fields: readonly FormField[];
  /** Those of fields that were not touched may depend on the others. */
  defaults(values: FormValues): FormValues;
  /** The field where what fails is said. */
  readonly main: string;
  /** What is wrong with a field, in a sentence; null when nothing is. */
  problem(value: FieldValue, key: string): string | null;
  /** What to know about a field that is not wrong. */
  note?(value: FieldValue, key: string): string | null;
  /** What is asked first; null: nothing. */
  question?(value: FieldValue): Question | null;
  /** @returns what has become of it, in a sentence. @throws an error for the user */
  run(value: FieldValue): Promise<string>;
};

/** Opens a form, which stays until what it is for is done. What fails is said at its main field, and can be corrected. */
export function openWorkingForm(ui: Ui, asked: WorkingForm): void {
  const { title, button, done, fields, main } = asked;
  const typed = (values: FormValues, key: string) => values[key] ?? asked.defaults(values)[key] ?? '';
  const valuesIn =
    (values: FormValues): FieldValue =>
    key =>
      typed(values, key).trim();
  /** What went wrong with the values as they are. */
  let failure: string | null = null;
  let isBusy = false;
  const form: Form = {
    title,
    button,
    done,
    fields: () => fields,
    value: (values, { key }) => typed(values, key),
    problem: (values, { key }) => asked.problem(valuesIn(values), key),
    // It may be right by now: it does not keep anybody from trying again.
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
  ui.store.getState().pushLayer(formLayer(form, {}));
}
