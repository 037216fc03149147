import { completed, runCommandLine } from '../actions/command-line.ts';
import { findNext } from '../actions/console.ts';
import { pinCursor } from '../actions/cursor.ts';
import type { Ui } from '../actions/ui.ts';
import type { FieldLayer } from '../store/layers.ts';
import { editText, insertText, pastedText, type TextEdit, textEdit } from '../text/text-edit.ts';
import type { ParsedKey } from './parse-key.ts';

/** While a field has the focus, letters are text and no key is a command. */
export function fieldKey(ui: Ui, layer: FieldLayer, key: ParsedKey): void {
  const { popLayer } = ui.store.getState();
  const { edit, purpose } = layer;
  const givenUp =
    key.name === 'esc' || key.name === 'ctrl+c' || (key.name === 'backspace' && edit.text === '');
  if (givenUp) {
    popLayer();
    if (purpose === 'filter') ui.store.getState().setFilter('');
  } else if (key.name === 'enter') {
    // The match stays under the cursor when the field is closed, and when the filter is cleared.
    if (purpose === 'filter') pinCursor(ui);
    popLayer();
    submit(ui, layer);
  } else if (purpose === 'command' && key.name === 'tab') {
    change(ui, layer, textEdit(completed(ui, edit.text)));
  } else if (purpose === 'command' && (key.name === 'up' || key.name === 'down')) {
    recall(ui, layer, key.name === 'up' ? 1 : -1);
  } else if (key.name === 'paste') {
    change(ui, layer, insertText(edit, pastedText(key.text ?? '')));
  } else {
    change(ui, layer, editText(edit, key.name));
  }
}

/** A filter applies while it is typed. */
function change(ui: Ui, layer: FieldLayer, edit: TextEdit): void {
  const { changeLayer, filterTyped } = ui.store.getState();
  if (layer.purpose === 'filter') filterTyped({ ...layer, edit });
  else changeLayer({ ...layer, edit });
}

function submit(ui: Ui, { purpose, edit: { text } }: FieldLayer): void {
  if (purpose === 'command') {
    ui.history.add(text);
    runCommandLine(ui, text);
  } else if (purpose === 'search') {
    ui.store.getState().setConsoleSearch(text);
    findNext(ui, 'older');
  }
}

/** Recalls an earlier command line; past the latest one is an empty line. */
function recall(ui: Ui, layer: FieldLayer, step: 1 | -1): void {
  const recalled = (layer.recalled ?? 0) + step;
  const line = recalled <= 0 ? '' : ui.history.recall(recalled);
  if (line === undefined) return;
  ui.store.getState().changeLayer({ ...layer, edit: textEdit(line), recalled: Math.max(0, recalled) });
}
