import type { Ui } from '../actions/ui.ts';
import type { PromptLayer } from '../store/layers.ts';
import { type TextEdit, textEdit } from '../text/text-edit.ts';
import { editedText } from './edited-text.ts';
import type { ParsedKey } from './parse-key.ts';

const STEPS: Readonly<Record<string, number>> = { up: 1, '+': 1, k: 1, down: -1, '-': -1, j: -1 };

/** Handles a key while a value is typed. */
export function promptKey(ui: Ui, layer: PromptLayer, key: ParsedKey): void {
  const { popLayer, changeLayer } = ui.store.getState();
  ui.clearNotice();
  if (key.name === 'esc' || key.name === 'ctrl+c') {
    popLayer();
  } else if (key.name === 'enter') {
    try {
      popLayer();
      layer.submit(layer.edit.text.trim());
    } catch (error) {
      ui.store.getState().pushLayer(layer);
      ui.notify('error', (error as Error).message);
    }
  } else {
    const edit = edited(layer, key);
    if (edit !== layer.edit) changeLayer({ ...layer, edit, fresh: false });
  }
}

function edited(layer: PromptLayer, key: ParsedKey): TextEdit {
  const { edit, range } = layer;
  const next = editedText(layer, key);
  if (range === null) return next;
  const step = STEPS[key.name];
  if (step !== undefined) {
    const count = (edit.text === '' ? range.now : Number(edit.text)) + step;
    return textEdit(String(Math.max(range.least, Math.min(count, range.most))));
  }
  const fits = /^\d*$/.test(next.text) && Number(next.text) <= range.most;
  return fits ? next : edit;
}
