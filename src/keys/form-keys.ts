import { completePath, completeWord, type PathCompletion } from '../actions/complete-path.ts';
import type { Ui } from '../actions/ui.ts';
import { type FormField, type FormLayer, formLayer } from '../store/layers.ts';
import { type TextEdit, textEdit } from '../text/text-edit.ts';
import { editedText } from './edited-text.ts';
import type { ParsedKey } from './parse-key.ts';

/** Handles a key in a form: letters are text. */
export function formKey(ui: Ui, layer: FormLayer, key: ParsedKey): void {
  const { popLayer } = ui.store.getState();
  const { form, focus, values } = layer;
  const field = form.fields(values)[focus];
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
    case 'tab':
      if (field?.path && !layer.fresh && layer.edit.text !== '')
        void complete(ui, layer, completePath(layer.edit.text));
      else if (field?.words && !layer.fresh)
        void complete(ui, layer, completeWord(layer.edit.text, field.words));
      else goTo(ui, layer, focus + 1);
      return;
    case 'down':
      goTo(ui, layer, focus + 1);
      return;
    case 'ctrl+s':
      finish(ui, layer);
      return;
    case 'enter':
      if (field === undefined) finish(ui, layer);
      else goTo(ui, layer, focus + 1);
      return;
  }
  if (field === undefined) {
    if (key.name === 'space') finish(ui, layer);
  } else if (field.checkbox) {
    if (key.name === 'space') change(ui, layer, textEdit(layer.edit.text === 'yes' ? 'no' : 'yes'));
  } else if (field.choices !== undefined) choose(ui, layer, field.choices, key.name);
  else type(ui, layer, field, editedText(layer, key));
}

function goTo(ui: Ui, layer: FormLayer, to: number): void {
  const { form, values, submitted } = layer;
  const stops = form.fields(values).length + 1;
  ui.store.getState().changeLayer(formLayer(form, values, (to + stops) % stops, submitted));
}

function type(ui: Ui, layer: FormLayer, field: FormField, edit: TextEdit): void {
  if (edit === layer.edit) return;
  if (edit.text !== layer.edit.text) change(ui, layer, edit, field.mayBeEmpty);
  else ui.store.getState().changeLayer({ ...layer, edit, fresh: false });
}

function choose(ui: Ui, layer: FormLayer, choices: readonly string[], key: string): void {
  const step = ({ right: 1, l: 1, space: 1, left: -1, h: -1 } as Record<string, number>)[key];
  if (step === undefined) return;
  const at = choices.indexOf(layer.edit.text) + step + choices.length;
  change(ui, layer, textEdit(choices[at % choices.length]!));
}

function change(ui: Ui, layer: FormLayer, edit: TextEdit, mayBeEmpty = false): void {
  const { [layer.form.fields(layer.values)[layer.focus]!.key]: _, ...others } = layer.values;
  const { key } = layer.form.fields(layer.values)[layer.focus]!;
  const values = edit.text === '' && !mayBeEmpty ? others : { ...others, [key]: edit.text };
  layer.form.changed(values);
  ui.store.getState().changeLayer({ ...layer, values, edit, fresh: false, candidates: [] });
}

/**
 * Completes the input as far as it is unambiguous, then shows the candidates; if there is nothing to complete, moves
 * on.
 */
async function complete(
  ui: Ui,
  layer: FormLayer,
  completion: PathCompletion | Promise<PathCompletion>,
): Promise<void> {
  const { text, candidates } = await completion;
  // Reading a folder may take a while: input in the meantime wins.
  if (ui.store.getState().layers.at(-1) !== layer) return;
  const grown = text !== layer.edit.text;
  if (grown) change(ui, layer, textEdit(text));
  const now = ui.store.getState().layers.at(-1) as FormLayer;
  if (candidates.length > 1 && layer.candidates.length === 0)
    ui.store.getState().changeLayer({ ...now, candidates });
  else if (!grown) goTo(ui, now, now.focus + 1);
}

/** Moves to the first invalid field; if there is none, submits the form. */
function finish(ui: Ui, layer: FormLayer): void {
  const { form, values } = layer;
  const wrong = form.fields(values).findIndex(field => form.problem(values, field) !== null);
  if (wrong >= 0) goTo(ui, { ...layer, submitted: true }, wrong);
  else form.submit(values);
}
