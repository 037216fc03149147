import type { AppState } from '../store/app-store.ts';
import { bodyRows, currentScreen, showsHost } from '../store/ui-slice.ts';
import { logRow, movedLogCursor } from '../view/log-rows.ts';
import { moveInImages, moveInNetworks, moveInOverview, moveInQueues, moveInVms } from './cursor.ts';
import { moveInHost } from './host-move.ts';
import type { Ui } from './ui.ts';
import { moveInVm } from './vm-move.ts';

/** How far a page key moves: a line less than the screen of a list, so that one line stays visible. */
export function pageRows(state: AppState): number {
  return Math.max(1, bodyRows(state) - 2);
}

/** Moves the cursor of the list that is shown, within its rows. */
export function moveCursor(ui: Ui, rows: number): void {
  const state = ui.store.getState();
  const screen = currentScreen(state);
  if (showsHost(state)) moveInHost(ui, rows);
  else if (screen.kind === 'vm') moveInVm(ui, screen.id, rows);
  else if (screen.kind === 'overview') {
    moveInOverview(ui, ui.select.overviewRow(state) + rows);
  } else if (screen.kind === 'queues') {
    moveInQueues(ui, ui.select.queueRow(state) + rows);
  } else if (screen.kind === 'networks') {
    moveInNetworks(ui, ui.select.networkRow(state) + rows);
  } else if (screen.kind === 'images') {
    moveInImages(ui, ui.select.imageRow(state) + rows);
  } else if (screen.kind === 'log') {
    moveInLog(ui, rows);
  } else moveInVms(ui, ui.select.cursorRow(state) + rows);
}

/** Moves the cursor of the log; the entry's VM becomes selected on other screens, too. */
function moveInLog(ui: Ui, rows: number): void {
  const state = ui.store.getState();
  const entries = ui.select.visibleLog(state);
  const cursor = movedLogCursor(entries, state.logCursor, rows);
  state.setLogCursor(cursor);
  const vm = entries[logRow(entries, cursor)]?.vm ?? null;
  if (vm !== null && vm in state.infos) state.selectVm(vm);
}
