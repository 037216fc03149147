import type { Ui } from '../actions/ui.ts';
import { type PickLayer, shownRows } from '../store/pick-layer.ts';
import { bodyRows } from '../store/ui-slice.ts';
import { editText, insertText, pastedText } from '../text/text-edit.ts';
import type { ParsedKey } from './parse-key.ts';

const MOVES: Readonly<Record<string, (page: number) => number>> = {
  down: () => 1,
  tab: () => 1,
  up: () => -1,
  'shift+tab': () => -1,
  pagedown: page => page,
  pageup: page => -page,
};

/** Handles a key in a pick list: letters filter the rows. */
export function pickKey(ui: Ui, layer: PickLayer, key: ParsedKey): void {
  const { popLayer, changeLayer } = ui.store.getState();
  const rows = shownRows(layer);
  const last = Math.max(0, rows.length - 1);
  const move = MOVES[key.name];
  ui.clearNotice();
  if (key.name === 'esc' || key.name === 'ctrl+c') {
    popLayer();
  } else if (key.name === 'enter') {
    const row = rows[Math.min(layer.cursor, last)];
    if (row === undefined) return;
    if (row.refusal !== null) {
      ui.notify('error', row.refusal);
      return;
    }
    popLayer();
    layer.pick(row.key);
  } else if (move !== undefined) {
    const to = Math.min(layer.cursor, last) + move(bodyRows(ui.store.getState()));
    changeLayer({ ...layer, cursor: Math.max(0, Math.min(to, last)) });
  } else {
    const { edit } = layer;
    const next =
      key.name === 'paste' ? insertText(edit, pastedText(key.text ?? '')) : editText(edit, key.name);
    changeLayer({ ...layer, edit: next, cursor: next.text === edit.text ? layer.cursor : 0 });
  }
}
