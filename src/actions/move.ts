import type { AppState } from '../store/app-store.ts';
import { bodyRows, currentScreen, showsHost } from '../store/ui-slice.ts';
import { movedLogCursor } from '../view/log-rows.ts';
import { moveInHost } from './host-move.ts';
import type { Ui } from './ui.ts';
import { moveInVm } from './vm-move.ts';

/** How far a page key goes: a line less than the screen of a list, so that one stays in sight. */
export function pageRows(state: AppState): number {
  return Math.max(1, bodyRows(state) - 2);
}

/** Moves the cursor of the list that is shown, as far as there are rows. */
export function moveCursor(ui: Ui, rows: number): void {
  const state = ui.store.getState();
  const screen = currentScreen(state);
  if (showsHost(state)) moveInHost(ui, rows);
  else if (screen.kind === 'vm') moveInVm(ui, screen.id, rows);
  else if (screen.kind === 'overview') {
    const { length } = ui.select.alarms(state);
    state.setAlarmCursor(Math.max(0, Math.min(state.alarmCursor + rows, length - 1)));
  } else if (screen.kind === 'log') {
    state.setLogCursor(movedLogCursor(ui.select.visibleLog(state), state.logCursor, rows));
  } else moveInVms(ui, rows);
}

function moveInVms(ui: Ui, rows: number): void {
  const state = ui.store.getState();
  const visible = ui.select.visibleVms(state);
  const row = Math.max(0, Math.min(ui.select.cursorRow(state) + rows, visible.length - 1));
  state.selectVm(visible[row] ?? null);
}
