import type { Ui } from '../actions/ui.ts';
import { type FormLayer, formLayer } from '../store/layers.ts';
import { editText, insertText, pastedText, type TextEdit, textEdit } from '../text/text-edit.ts';
import type { ParsedKey } from './parse-key.ts';

/** A key while the form is filled in: letters are text. */
export function formKey(ui: Ui, layer: FormLayer, key: ParsedKey): void {
  const { popLayer } = ui.store.getState();
  const { form, focus, values } = layer;
  const fields = form.fields(values);
  const field = fields[focus]!;
  switch (key.name) {
    case 'esc':
    case 'ctrl+c':
      popLayer();
      form.leave(values);
      return;
    case 'up':
    case 'shift+tab':
      goTo(ui, layer, focus - 1);
      return;
    case 'down':
    case 'tab':
      goTo(ui, layer, focus + 1);
      return;
    case 'ctrl+s':
      finish(ui, layer);
      return;
    case 'enter':
      if (focus === fields.length - 1) finish(ui, layer);
      else goTo(ui, layer, focus + 1);
      return;
  }
  if (field.choices !== undefined) choose(ui, layer, field.choices, key.name);
  else if (key.name === 'paste') type(ui, layer, insertText(layer.edit, pastedText(key.text ?? '')));
  else type(ui, layer, editText(layer.edit, key.name));
}

function goTo(ui: Ui, layer: FormLayer, to: number): void {
  const { form, values } = layer;
  const { length } = form.fields(values);
  const focus = (to + length) % length;
  ui.store.getState().changeLayer(formLayer(form, values, focus));
}

function type(ui: Ui, layer: FormLayer, edit: TextEdit): void {
  if (edit.text === layer.edit.text) ui.store.getState().changeLayer({ ...layer, edit });
  else change(ui, layer, edit);
}

function choose(ui: Ui, layer: FormLayer, choices: readonly string[], key: string): void {
  const step = ({ right: 1, l: 1, space: 1, left: -1, h: -1 } as Record<string, number>)[key];
  if (step === undefined) return;
  const at = choices.indexOf(layer.edit.text) + step + choices.length;
  change(ui, layer, textEdit(choices[at % choices.length]!));
}

function change(ui: Ui, layer: FormLayer, edit: TextEdit): void {
  const values = { ...layer.values, [layer.form.fields(layer.values)[layer.focus]!.key]: edit.text };
  layer.form.changed(values);
  ui.store.getState().changeLayer({ ...layer, values, edit });
}

/** Goes to the first field that something is wrong with; if there is none, the form is done. */
function finish(ui: Ui, layer: FormLayer): void {
  const { form, values } = layer;
  const wrong = form.fields(values).findIndex(field => form.problem(values, field) !== null);
  if (wrong >= 0) goTo(ui, layer, wrong);
  else form.submit(values);
}
