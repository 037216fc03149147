import { attachAgain } from '../actions/attach-plan.ts';
import { carryOut, planAgain } from '../actions/host-change.ts';
import { scrolled } from '../actions/scroll.ts';
import type { Ui } from '../actions/ui.ts';
import { type PlanOption, withOption } from '../host-service/requests.ts';
import { type AttachOptions, toggledOption } from '../store/attach-subject.ts';
import type { PlanChoice } from '../store/plan-choice.ts';
import { choicesOf, isReady, obstacleOf, PLAN_FRAME_ROWS, type PlanLayer } from '../store/plan-layer.ts';
import { bodyRows } from '../store/ui-slice.ts';
import { editText } from '../text/text-edit.ts';
import { planLines } from '../view/plan-lines.ts';

const CLOSE = new Set(['esc', 'q', 'n', 'ctrl+c']);

/** Handles a key while a plan is shown. */
export function planKey(ui: Ui, layer: PlanLayer, key: string): void {
  const { popLayer } = ui.store.getState();
  switch (layer.phase.kind) {
    case 'working':
      // A plan that has begun is finished; its steps can be read in the meantime.
      scroll(ui, layer, key);
      break;
    case 'done':
      if (CLOSE.has(key) || key === 'enter' || key === 'space') popLayer();
      else scroll(ui, layer, key);
      break;
    default:
      if (layer.focus === 'word') wordKey(ui, layer, key);
      else reviewKey(ui, layer, key);
  }
}

function reviewKey(ui: Ui, layer: PlanLayer, key: string): void {
  const { popLayer, changeLayer } = ui.store.getState();
  const choice = choicesOf(layer).find(choice => choice.key === key);
  if (CLOSE.has(key)) {
    popLayer();
  } else if (key === 'enter') {
    if (layer.focus === 'cancel') popLayer();
    else if (isReady(layer)) void carryOut(ui, layer);
  } else if (key === 'tab' || key === 'shift+tab' || key === 'left' || key === 'right') {
    changeLayer({ ...layer, focus: nextFocus(layer) });
  } else if (choice !== undefined && layer.phase.kind === 'review') {
    choose(ui, layer, choice);
  } else {
    scroll(ui, layer, key);
  }
}

function choose(ui: Ui, layer: PlanLayer, { option, on }: PlanChoice): void {
  const { subject } = layer;
  if (subject.kind === 'change')
    void planAgain(ui, layer, withOption(subject.request, option as PlanOption, on !== true));
  else if (subject.kind === 'attach')
    void attachAgain(ui, layer, toggledOption(subject.options, option as keyof AttachOptions));
}

/** Letters are text; Enter moves on to the button, once the word is correct. */
function wordKey(ui: Ui, layer: PlanLayer, key: string): void {
  const { popLayer, changeLayer } = ui.store.getState();
  if (key === 'esc' || key === 'ctrl+c') popLayer();
  else if (key === 'tab' || key === 'shift+tab' || key === 'enter')
    changeLayer({ ...layer, focus: nextFocus(layer) });
  else changeLayer({ ...layer, typed: editText(layer.typed, key) });
}

/** Cancel, then the word if one is required, then the confirming button if it is enabled. */
function nextFocus(layer: PlanLayer): PlanLayer['focus'] {
  const obstacle = obstacleOf(layer);
  if (obstacle.kind === 'final') return 'cancel';
  if (layer.focus === 'cancel') return obstacle.kind === 'word' ? 'word' : 'confirm';
  return layer.focus === 'word' && isReady(layer) ? 'confirm' : 'cancel';
}

function scroll(ui: Ui, layer: PlanLayer, key: string): void {
  const state = ui.store.getState();
  const page = Math.max(0, bodyRows(state) - PLAN_FRAME_ROWS);
  const height = planLines(layer, state.size.columns).length;
  const offset = scrolled(key, layer.offset, page, height);
  if (offset !== null) state.changeLayer({ ...layer, offset });
}
