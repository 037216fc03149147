import { shownFilter } from '../store/list-slice.ts';
import { HOST_LISTS, SCREEN_NAMES, TOP_SCREENS } from '../store/screens.ts';
import { shownList } from '../store/ui-slice.ts';
import type { Action, ActionContext } from './action.ts';
import { pinCursor } from './cursor.ts';
import { fold, toggleFold, toggleMark, unfold } from './host-move.ts';
import { closeScreen, openScreen } from './navigate.ts';

/** Lists whose rows are functions. */
const FUNCTION_LISTS = ['pci', 'iommu', 'sriov', 'vfio'] as const;

const DESCRIPTIONS = {
  overview: 'The host and its VMs at a glance, alarms and recent events',
  vms: 'Virtual machines',
  pci: 'PCI devices of the host, as a tree',
  iommu: 'IOMMU groups: functions that can only be assigned together',
  sriov: 'SR-IOV: physical functions and their virtual functions',
  vfio: 'Drivers (vfio): the driver of each device, now and after the next boot',
  doctor: 'Problems of this host, with fixes',
  log: 'Log of events',
  queues: 'Virtqueues of all VMs',
  networks: 'Networks, bridges and TAP interfaces of the host: their leases, VMs and rates',
} as const;

/** Screens on which number keys open screens; on a VM's they open its tabs. */
const OUTSIDE_A_VM = [...TOP_SCREENS, 'images', 'function'] as const;

/** One key for each screen: its number in the header. */
const go: readonly Action[] = TOP_SCREENS.map(screen => ({
  name: screen,
  category: 'Look',
  label: SCREEN_NAMES[screen],
  phrase: `open the screen ${SCREEN_NAMES[screen]}`,
  description: DESCRIPTIONS[screen],
  screens: OUTSIDE_A_VM,
  run: ({ ui }) => openScreen(ui, { kind: screen }),
}));

const NO_FUNCTION = 'there is no function here';

function noFunction({ ui, state }: ActionContext): string | null {
  return ui.hostSelect.functionAtCursor(state) === null ? NO_FUNCTION : null;
}

const move: readonly Action[] = [
  {
    name: 'open-function',
    category: 'Move',
    label: 'open',
    phrase: 'open the function',
    description: 'Show everything about the function; fold or unfold a root bus',
    screens: FUNCTION_LISTS,
    bar: 10,
    unavailable: ({ ui, state }) => (ui.hostSelect.rowAtCursor(state) === null ? NO_FUNCTION : null),
    run: ({ ui, state }) => {
      const address = ui.hostSelect.functionAtCursor(state);
      if (address === null) toggleFold(ui);
      else openScreen(ui, { kind: 'function', address });
    },
  },
  {
    name: 'unfold',
    category: 'Move',
    label: 'unfold',
    description: 'Unfold, or go to the first child',
    screens: ['pci'],
    run: ({ ui }) => unfold(ui),
  },
  {
    name: 'fold',
    category: 'Move',
    label: 'fold',
    description: 'Fold, or go to the parent',
    screens: ['pci'],
    run: ({ ui }) => fold(ui),
  },
  {
    name: 'leave',
    category: 'Move',
    label: 'back',
    phrase: 'go back',
    description: 'Clear the marks, else clear the filter, else go back',
    screens: [...HOST_LISTS, 'overview', 'log', 'queues', 'networks', 'images'],
    run: ({ ui, state }) => {
      if (shownList(state) !== null && state.marked.size > 0) state.setMarked(new Set());
      else if (shownFilter(state) === '') closeScreen(ui);
      else {
        pinCursor(ui);
        state.setFilter('');
      }
    },
  },
];

const look: readonly Action[] = [
  {
    name: 'mark',
    category: 'Look',
    label: 'mark',
    phrase: 'mark the function',
    description: 'Mark or unmark the function; actions apply to all marked functions',
    screens: FUNCTION_LISTS,
    bar: 30,
    unavailable: noFunction,
    run: ({ ui }) => toggleMark(ui),
  },
  {
    name: 'refresh',
    category: 'Look',
    label: 'refresh',
    description: 'Read the host again now; changes are also noticed automatically',
    screens: [...HOST_LISTS, 'function', 'networks', 'images'],
    run: ({ ui }) => {
      ui.host.refresh();
      ui.networks.refresh();
      ui.images.refresh();
    },
  },
];

/** Actions that show the host and change nothing. */
export const hostViewActions: readonly Action[] = [...go, ...move, ...look];
