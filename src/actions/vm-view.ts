import { isUp } from '../engine/vm-info.ts';
import { ADDRESS_ORDERS, VM_TABS, type VmTab, vmViewOf } from '../store/vm-view-slice.ts';
import { summaryShowsConsole } from '../view/summary-layout.ts';
import { type Action, type ActionContext, NO_VM, noVm } from './action.ts';
import { takeKeyboard } from './take-keyboard.ts';
import { nextTab } from './vm-move.ts';

const DESCRIPTIONS: Readonly<Record<VmTab, string>> = {
  summary: 'The VM at a glance',
  vcpus: 'The vCPUs: where their time goes, exits by reason, and exit latency',
  exits: 'The exit heat map: each port and memory address with exits, its device, and its cost',
  queues: 'Virtqueues: depth, batches, kicks, interrupts, and request latency',
  disks: 'Disks',
  networks: 'Network cards',
  devices: 'All devices of the VM',
  console: 'The serial console, on the whole screen',
  events: "The VM's events",
  snapshots: 'Snapshots and the saved state: age, size, parent, and what prevents a restore',
};

function showTabBeside({ state, vm }: ActionContext, step: number): void {
  state.changeVmView(vm!.id, { tab: nextTab(vmViewOf(state, vm!.id).tab, step) });
}

const tabs: readonly Action[] = VM_TABS.map(tab => ({
  name: `tab-${tab}`,
  category: 'Look',
  label: tab,
  phrase: `show the tab ${tab}`,
  description: DESCRIPTIONS[tab],
  screens: ['vm'],
  unavailable: noVm,
  run: ({ state, vm }) => state.changeVmView(vm!.id, { tab }),
}));

/** Why the exit heat map is not shown; null if it is. */
function notExits({ state, vm }: ActionContext): string | null {
  return vm !== null && vmViewOf(state, vm.id).tab === 'exits' ? null : 'only the exits (3) can be sorted';
}

function sortExits({ state, vm }: ActionContext, step: number): void {
  const at = ADDRESS_ORDERS.indexOf(vmViewOf(state, vm!.id).addressOrder) + step;
  state.changeVmView(vm!.id, { addressOrder: ADDRESS_ORDERS[at % ADDRESS_ORDERS.length]! });
}

/** Actions that change the view of a VM's screen. */
export const vmViewActions: readonly Action[] = [
  {
    name: 'next-tab',
    category: 'Move',
    label: 'next tab',
    phrase: 'go to the next tab',
    description: 'Go to the next tab',
    screens: ['vm'],
    bar: 20,
    unavailable: noVm,
    run: context => showTabBeside(context, 1),
  },
  {
    name: 'previous-tab',
    category: 'Move',
    label: 'tab before',
    phrase: 'go to the previous tab',
    description: 'Go to the previous tab',
    screens: ['vm'],
    unavailable: noVm,
    run: context => showTabBeside(context, VM_TABS.length - 1),
  },
  ...tabs,
  {
    name: 'sort-exits',
    category: 'Look',
    label: 'sort',
    phrase: 'sort the exits',
    description: 'Sort the exits by the next of cost, rate and address',
    screens: ['vm'],
    bar: 25,
    unavailable: notExits,
    run: context => sortExits(context, 1),
  },
  {
    name: 'sort-exits-back',
    category: 'Look',
    label: 'sort back',
    phrase: 'sort the exits',
    description: 'Sort the exits by the previous one of these',
    screens: ['vm'],
    unavailable: notExits,
    run: context => sortExits(context, ADDRESS_ORDERS.length - 1),
  },
  {
    name: 'console',
    category: 'Look',
    label: 'console',
    phrase: 'type into the console',
    description: "Type into the VM's serial console; Ctrl-] gives the keyboard back",
    screens: ['vm'],
    bar: 10,
    changes: 'vm',
    unavailable: ({ vm }) => {
      if (vm === null) return NO_VM;
      return isUp(vm) ? null : `${vm.name} is ${vm.state}`;
    },
    run: ({ ui, state, vm }) => {
      const { tab, cursors } = vmViewOf(state, vm!.id);
      const inSight = tab === 'summary' && summaryShowsConsole(state.size);
      state.changeVmView(vm!.id, {
        tab: inSight ? 'summary' : 'console',
        cursors: { ...cursors, console: 0 },
      });
      takeKeyboard(ui, vm!.id);
    },
  },
];
