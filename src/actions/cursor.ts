import { currentScreen, shownList } from '../store/ui-slice.ts';
import { vmOfRow } from '../view/overview-rows.ts';
import type { Ui } from './ui.ts';

/** Moves the cursor of the VM list to a row, or to the nearest one. */
export function moveInVms(ui: Ui, row: number): void {
  const state = ui.store.getState();
  const visible = ui.select.visibleVms(state);
  state.selectVm(visible[clamped(row, visible.length)] ?? null);
}

/** The same for the queue list. The VM becomes selected on other screens, too. */
export function moveInQueues(ui: Ui, row: number): void {
  const state = ui.store.getState();
  const rows = ui.select.visibleQueues(state);
  const index = clamped(row, rows.length);
  const found = rows[index];
  if (found === undefined) return;
  state.setQueueCursor({ key: found.key, index });
  state.selectVm(found.vm);
}

/** The same for the networks. */
export function moveInNetworks(ui: Ui, row: number): void {
  const state = ui.store.getState();
  const rows = ui.select.visibleNetworks(state);
  const index = clamped(row, rows.length);
  const found = rows[index];
  if (found !== undefined) state.setNetworkCursor({ key: found.key, index });
}

/** The same for the disk images. */
export function moveInImages(ui: Ui, row: number): void {
  const state = ui.store.getState();
  const rows = ui.select.visibleImages(state);
  const index = clamped(row, rows.length);
  const found = rows[index];
  if (found !== undefined) state.setImageCursor({ key: found.key, index });
}

/** The same for the overview, whose tables share one cursor. */
export function moveInOverview(ui: Ui, row: number): void {
  const state = ui.store.getState();
  const rows = ui.select.overviewRows(state);
  const index = clamped(row, rows.length);
  const found = rows[index];
  if (found === undefined) return;
  state.setOverviewCursor({ key: found.key, index });
  const vm = vmOfRow(found);
  if (vm !== null && vm in state.infos) state.selectVm(vm);
}

/** The same for the host list that is shown. The function becomes selected on other screens, too. */
export function moveInHostList(ui: Ui, row: number): void {
  const state = ui.store.getState();
  const list = shownList(state);
  if (list === null) return;
  const rows = ui.hostSelect.lists[list](state);
  const index = clamped(row, rows.length);
  const found = rows[index];
  if (found !== undefined) state.setHostCursor(list, { key: found.key, index }, found.address);
}

/**
 * Keeps the cursor on its row, whatever happens to the rows around it, even if it is only there because the list starts
 * with that row, or because the filter hides its former row.
 */
export function pinCursor(ui: Ui): void {
  const state = ui.store.getState();
  const { kind } = currentScreen(state);
  const list = shownList(state);
  if (kind === 'vms') moveInVms(ui, ui.select.cursorRow(state));
  else if (kind === 'queues') moveInQueues(ui, ui.select.queueRow(state));
  else if (kind === 'networks') moveInNetworks(ui, ui.select.networkRow(state));
  else if (kind === 'images') moveInImages(ui, ui.select.imageRow(state));
  else if (kind === 'overview') moveInOverview(ui, ui.select.overviewRow(state));
  else if (list !== null) moveInHostList(ui, ui.hostSelect.cursorRow(state, list));
}

function clamped(row: number, length: number): number {
  return Math.max(0, Math.min(row, length - 1));
}
