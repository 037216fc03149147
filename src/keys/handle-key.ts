import { actionContext, runAction } from '../actions/action.ts';
import { scrolled } from '../actions/scroll.ts';
import { sortByLetter } from '../actions/sort.ts';
import type { Ui } from '../actions/ui.ts';
import { ConsoleInput } from '../console/console-input.ts';
import { terminalReply } from '../screen/terminal/terminal-replies.ts';
import type { Layer } from '../store/layers.ts';
import { bodyRows } from '../store/ui-slice.ts';
import { aboutHeight } from '../view/about-facts.ts';
import { textRoom } from '../view/layer-room.ts';
import { shownSorted } from '../view/sort-columns.ts';
import { actionOfKey, BINDINGS } from './bindings.ts';
import { dialogKey } from './dialog-keys.ts';
import { fieldKey } from './field-keys.ts';
import { formKey } from './form-keys.ts';
import { helpLines } from './help-lines.ts';
import type { ParsedKey } from './parse-key.ts';
import { pickKey } from './pick-keys.ts';
import { planKey } from './plan-keys.ts';
import { promptKey } from './prompt-keys.ts';
import { sortKey } from './sort-keys.ts';
import { isSortKey } from './sort-letters.ts';
import type { InputSink } from './terminal-input.ts';

type LayerOf<Kind extends Layer['kind']> = Extract<Layer, { kind: Kind }>;

/** Passes keys to the top layer only. */
export function inputSink(ui: Ui): InputSink {
  const topLayer = () => ui.store.getState().layers.at(-1);
  const input = new ConsoleInput(
    {
      wantsPasteMarkers: () => !ui.screens.isShown && ui.consoles.bracketedPaste,
      typed: bytes => (ui.screens.isShown ? ui.screens.type(bytes) : ui.consoles.type(bytes)),
    },
    ui.clock,
  );
  return {
    grabbed: () => topLayer()?.kind === 'console',
    raw: bytes => {
      const taken = input.push(bytes);
      if (taken === null) return bytes.length;
      ui.store.getState().popLayer();
      return taken;
    },
    key: key => handleKey(ui, key),
    sequence: text => {
      const reply = terminalReply(text);
      if (reply !== null) ui.screens.picture?.replied(reply);
    },
  };
}

function handleKey(ui: Ui, key: ParsedKey): void {
  // The suspend key works everywhere.
  if (BINDINGS.suspend!.includes(key.name)) {
    void ui.attempt(ui.stop());
    return;
  }
  const layer = ui.store.getState().layers.at(-1);
  switch (layer?.kind) {
    case undefined:
    case 'console':
      screenKey(ui, key);
      break;
    case 'field':
      fieldKey(ui, layer, key);
      break;
    case 'dialog':
      dialogKey(ui, layer, key.name);
      break;
    case 'form':
      formKey(ui, layer, key);
      break;
    case 'prompt':
      promptKey(ui, layer, key);
      break;
    case 'pick':
      pickKey(ui, layer, key);
      break;
    case 'plan':
      planKey(ui, layer, key.name);
      break;
    case 'sort':
      sortKey(ui, key.name);
      break;
    case 'help':
    case 'about':
    case 'text':
      readingKey(ui, layer, key.name);
      break;
  }
}

function screenKey(ui: Ui, key: ParsedKey): void {
  const context = actionContext(ui);
  const action = actionOfKey(key.name, context);
  if (action) runAction(action, context);
  else {
    const screen = shownSorted(context.state);
    if (screen !== null && isSortKey(key.name, screen)) sortByLetter(ui, key.name.toLowerCase());
  }
}

const CLOSE = new Set(['esc', 'enter', 'q', '?', 'd', 'y', 'ctrl+c']);

type ReadLayer = LayerOf<'help' | 'about' | 'text'>;

function readingKey(ui: Ui, layer: ReadLayer, key: string): void {
  const state = ui.store.getState();
  const page = layer.kind === 'text' ? textRoom(bodyRows(state)) : bodyRows(state);
  const offset = scrolled(key, layer.offset, page, textLength(ui, layer));
  if (offset !== null) {
    state.changeLayer({ ...layer, offset });
  } else if (CLOSE.has(key)) {
    state.popLayer();
  }
}

/** The number of lines of the text being read. */
function textLength(ui: Ui, layer: ReadLayer): number {
  if (layer.kind === 'text') return layer.lines.length;
  const { size, infos } = ui.store.getState();
  if (layer.kind === 'help') return helpLines(actionContext(ui), size.columns).length;
  const vm = infos[layer.id];
  return vm === undefined ? 0 : aboutHeight(vm, size.columns);
}
