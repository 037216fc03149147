import { scrolled } from '../actions/scroll.ts';
import type { Ui } from '../actions/ui.ts';
import type { DialogLayer } from '../store/layers.ts';
import { bodyRows } from '../store/ui-slice.ts';
import { dialogLines } from '../view/layer-room.ts';

const NEXT = new Set(['tab', 'right', 'l']);
const BEFORE = new Set(['shift+tab', 'left', 'h']);
const CANCEL = new Set(['esc', 'n', 'q', 'ctrl+c']);

/** Handles a key while a question is open. */
export function dialogKey(ui: Ui, layer: DialogLayer, key: string): void {
  const state = ui.store.getState();
  const { choices, focus } = layer;
  const go = (step: number) =>
    state.changeLayer({ ...layer, focus: (focus + step + choices.length) % choices.length });
  if (NEXT.has(key)) go(1);
  else if (BEFORE.has(key)) go(-1);
  else if (CANCEL.has(key)) state.popLayer();
  else if (key === 'enter' || key === 'space') {
    state.popLayer();
    choices[focus]?.run?.();
  } else {
    const { lines, room } = dialogLines(layer, { columns: state.size.columns, rows: bodyRows(state) });
    const offset = scrolled(key, layer.offset, room, lines.length);
    if (offset !== null) state.changeLayer({ ...layer, offset });
  }
}
