import { currentScreen, shownList } from '../store/ui-slice.ts';
import { vmOfRow } from '../view/overview-rows.ts';
import type { Ui } from './ui.ts';

/** Puts the cursor of the list of VMs on a row, or on the nearest one that there is. */
export function moveInVms(ui: Ui, row: number): void {
  const state = ui.store.getState();
  const visible = ui.select.visibleVms(state);
  state.selectVm(visible[clamped(row, visible.length)] ?? null);
}

/** The same of the list of queues. The VM goes along to other screens. */
export function moveInQueues(ui: Ui, row: number): void {
  const state = ui.store.getState();
  const rows = ui.select.visibleQueues(state);
  const index = clamped(row, rows.length);
  const found = rows[index];
  if (found === undefined) return;
  state.setQueueCursor({ key: found.key, index });
  state.selectVm(found.vm);
}

/** The same of the networks. */
export function moveInNetworks(ui: Ui, row: number): void {
  const state = ui.store.getState();
  const rows = ui.select.visibleNetworks(state);
  const index = clamped(row, rows.length);
  const found = rows[index];
  if (found !== undefined) state.setNetworkCursor({ key: found.key, index });
}

/** The same of the disk images. */
export function moveInImages(ui: Ui, row: number): void {
  const state = ui.store.getState();
  const rows = ui.select.visibleImages(state);
  const index = clamped(row, rows.length);
  const found = rows[index];
  if (found !== undefined) state.setImageCursor({ key: found.key, index });
}

/** The same of the overview, whose tables have one cursor. */
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

/** The same of the list of the host that is shown. The function goes along to other screens. */
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
 * Has the cursor stay with its row, whatever becomes of the rows around it: also where it is there only because the list
 * begins with it, or because the filter hides the row that it was on.
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
