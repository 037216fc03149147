import { HOST_LISTS, SCREEN_NAMES, TOP_SCREENS } from '../store/screens.ts';
import { shownFilter } from '../store/ui-slice.ts';
import type { Action, ActionContext } from './action.ts';
import { fold, toggleFold, toggleMark, unfold } from './host-move.ts';

/** Lists whose rows are functions. */
const FUNCTION_LISTS = ['pci', 'iommu', 'sriov', 'vfio'] as const;

const DESCRIPTIONS = {
  overview: 'The host and its VMs at a glance, and what somebody should look at',
  vms: 'The virtual machines',
  pci: 'The PCI devices of the host, as a tree',
  iommu: 'The IOMMU groups: what can only be given to a guest together',
  sriov: 'Functions that can have virtual ones (SR-IOV), and those that they have',
  vfio: 'Who has each device: now, and at the next boot (vfio)',
  doctor: 'What on this host needs mending',
  log: 'What has happened',
} as const;

/** Where these keys exist: on a VM's screen they open its tabs. */
const OUTSIDE_A_VM = [...TOP_SCREENS, 'function'] as const;

/** One key for each screen: its number in the header. */
const go: readonly Action[] = TOP_SCREENS.map(screen => ({
  name: screen,
  category: 'Look',
  label: SCREEN_NAMES[screen],
  phrase: `open the screen ${SCREEN_NAMES[screen]}`,
  description: DESCRIPTIONS[screen],
  screens: OUTSIDE_A_VM,
  run: ({ state }) => state.openScreen({ kind: screen }),
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
    description: 'All that is known of the function; a root bus is folded, or unfolded',
    screens: FUNCTION_LISTS,
    bar: 10,
    unavailable: ({ ui, state }) => (ui.hostSelect.rowAtCursor(state) === null ? NO_FUNCTION : null),
    run: ({ ui, state }) => {
      const address = ui.hostSelect.functionAtCursor(state);
      if (address === null) toggleFold(ui);
      else state.openScreen({ kind: 'function', address });
    },
  },
  {
    name: 'unfold',
    category: 'Move',
    label: 'unfold',
    description: 'Show what is below, or go there',
    screens: ['pci'],
    run: ({ ui }) => unfold(ui),
  },
  {
    name: 'fold',
    category: 'Move',
    label: 'fold',
    description: 'Fold away what is below, or go to what is above',
    screens: ['pci'],
    run: ({ ui }) => fold(ui),
  },
  {
    name: 'leave',
    category: 'Move',
    label: 'back',
    phrase: 'go back',
    description: 'Take the marks away, else clear the filter, else go back to the screen before',
    screens: HOST_LISTS,
    run: ({ state }) => {
      if (state.marked.size > 0) state.setMarked(new Set());
      else if (shownFilter(state) !== '') state.setFilter('');
      else state.closeScreen();
    },
  },
];

const look: readonly Action[] = [
  {
    name: 'mark',
    category: 'Look',
    label: 'mark',
    phrase: 'mark the function',
    description: 'Mark the function, or take the mark away: commands are for all that are marked',
    screens: FUNCTION_LISTS,
    bar: 30,
    unavailable: noFunction,
    run: ({ ui }) => toggleMark(ui),
  },
  {
    name: 'refresh',
    category: 'Look',
    label: 'refresh',
    description: 'Read the host again now; changes are noticed by themselves, too',
    screens: [...HOST_LISTS, 'function'],
    run: ({ ui }) => ui.host.refresh(),
  },
];

/** Commands that look at the host and change nothing. */
export const hostViewActions: readonly Action[] = [...go, ...move, ...look];
