import type { AppState } from '../store/app-store.ts';
import { paneRows } from '../store/pane-rows.ts';
import { bodyRows, currentScreen, PANES, type Pane, showsHost } from '../store/ui-slice.ts';
import type { Ui } from '../ui.ts';
import { moveInHost } from './host-move.ts';

/** How far a page key goes: a line less than the screen of a list, so that one stays in sight. */
export function pageRows(state: AppState): number {
  return Math.max(1, bodyRows(state) - 2);
}

export function nextPane(pane: Pane, step: number): Pane {
  const at = PANES.indexOf(pane) + step;
  return PANES[(at + PANES.length) % PANES.length]!;
}

/** Moves the cursor of the list that has the focus, as far as there are rows. */
export function moveCursor(ui: Ui, rows: number): void {
  const state = ui.store.getState();
  if (showsHost(state)) {
    moveInHost(ui, rows);
    return;
  }
  if (currentScreen(state).kind === 'vms') {
    const visible = ui.select.visibleVms(state);
    const row = clamp(ui.select.cursorRow(state) + rows, visible.length);
    state.selectVm(visible[row] ?? null);
    return;
  }
  const { pane } = state;
  // The console is read from its end: its cursor counts the lines back from there.
  if (pane === 'console') state.setCursor(pane, clamp(state.cursors.console - rows, ui.consoles.length));
  else state.setCursor(pane, clamp(state.cursors[pane] + rows, paneRows(state, pane)));
}

function clamp(row: number, length: number): number {
  return Math.max(0, Math.min(row, length - 1));
}
