import { filterOf } from '../store/list-slice.ts';
import type { Screen } from '../store/screens.ts';
import { currentScreen, shownList } from '../store/ui-slice.ts';
import { toggledToShow } from '../view/host-pci-rows.ts';
import type { Ui } from './ui.ts';

/** Opens a screen, with the cursor on the device or VM selected last, if it is there. */
export function openScreen(ui: Ui, screen: Screen): void {
  const state = ui.store.getState();
  state.openScreen(screen);
  if (screen.kind === 'function') state.setDevice(screen.address);
  if (screen.kind === 'vm') state.selectVm(screen.id);
  placeCursor(ui);
}

/** Goes back to the previous screen, with the cursor on the selected item likewise. */
export function closeScreen(ui: Ui): void {
  ui.store.getState().closeScreen();
  placeCursor(ui);
}

function placeCursor(ui: Ui): void {
  const state = ui.store.getState();
  if (state.device !== null) showFunction(ui, state.device);
  if (currentScreen(state).kind === 'queues' && state.selectedVm !== null) showQueuesOf(ui, state.selectedVm);
}

/** Moves the cursor of the host list that is shown to a function, if the list has it. */
function showFunction(ui: Ui, address: string): void {
  const before = ui.store.getState();
  const list = shownList(before);
  if (list === null || ui.hostSelect.rowAtCursor(before)?.address === address) return;
  const unfolds = list === 'pci' && before.host !== null && filterOf(before, 'pci') === '';
  if (unfolds) before.setToggled(toggledToShow(before.host!, before.toggled, address));
  const state = ui.store.getState();
  const rows = ui.hostSelect.lists[list](state);
  const index = rows.findIndex(row => row.address === address);
  if (index >= 0) state.setHostCursor(list, { key: rows[index]!.key, index }, address);
}

/** Moves the cursor of the queue list to a VM's first queue, unless it is on one of them. */
function showQueuesOf(ui: Ui, vm: string): void {
  const state = ui.store.getState();
  const rows = ui.select.visibleQueues(state);
  if (rows[ui.select.queueRow(state)]?.vm === vm) return;
  const index = rows.findIndex(row => row.vm === vm);
  if (index >= 0) state.setQueueCursor({ key: rows[index]!.key, index });
}
