import type { AppState } from '../store/app-store.ts';
import { vcpuRows } from '../store/vcpu-rows.ts';
import { VM_TABS, type VmTab, type VmView, vmViewOf } from '../store/vm-view-slice.ts';
import { own } from '../text/own.ts';
import { addressRows } from '../view/address-rows.ts';
import { deviceRows } from '../view/device-rows.ts';
import { movedLogCursor, vmLog } from '../view/log-rows.ts';
import { shownSnapshots } from '../view/snapshot-rows.ts';
import type { Ui } from './ui.ts';

/** The tab `step` places further on, wrapping around. */
export function nextTab(tab: VmTab, step: number): VmTab {
  return VM_TABS[(VM_TABS.indexOf(tab) + step) % VM_TABS.length]!;
}

/** Moves the cursor of the tab that is shown, within its rows. */
export function moveInVm(ui: Ui, id: string, rows: number): void {
  const state = ui.store.getState();
  const view = vmViewOf(state, id);
  if (view.tab === 'events') {
    state.changeVmView(id, { event: movedLogCursor(vmLog(state.log, id), view.event, rows) });
    return;
  }
  const list = view.tab === 'summary' ? 'vcpus' : view.tab;
  const length = list === 'console' ? ui.consoles.length : rowsOf(state, id, list, view);
  // The console is read from its end: its cursor counts the lines back from there.
  const to = view.cursors[list] + (list === 'console' ? -rows : rows);
  const cursor = Math.max(0, Math.min(to, length - 1));
  state.changeVmView(id, { cursors: { ...view.cursors, [list]: cursor } });
}

type ListTab = Exclude<VmTab, 'summary' | 'console' | 'events'>;

function rowsOf(state: AppState, id: string, tab: ListTab, { addressOrder }: VmView): number {
  const vm = own(state.infos, id);
  const rates = state.detail?.id === id ? state.detail.rates : null;
  switch (tab) {
    case 'vcpus':
      return rates === null ? 0 : vcpuRows(rates).length;
    case 'exits':
      return rates === null ? 0 : addressRows(rates, addressOrder).length;
    case 'queues':
      return rates?.queues.length ?? 0;
    case 'disks':
      return vm === undefined ? 0 : deviceRows(vm, rates, 'disk').length;
    case 'networks':
      return vm === undefined ? 0 : deviceRows(vm, rates, 'net').length;
    case 'snapshots':
      return shownSnapshots(state, id).length;
    case 'devices':
      return vm === undefined ? 0 : deviceRows(vm, rates).length;
  }
}
