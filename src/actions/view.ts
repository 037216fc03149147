import { INTERVALS } from '../store/sampling-slice.ts';
import { HOST_LISTS } from '../store/screens.ts';
import { shownFilter } from '../store/ui-slice.ts';
import { textEdit } from '../text/text-edit.ts';
import { type Action, noVm } from './action.ts';
import { moveCursor, pageRows } from './move.ts';
import { quitAction } from './quit.ts';

const move: readonly Action[] = [
  {
    name: 'down',
    category: 'Move',
    label: 'down',
    phrase: 'move down',
    description: 'Down a row',
    run: ({ ui }) => moveCursor(ui, 1),
  },
  {
    name: 'up',
    category: 'Move',
    label: 'up',
    phrase: 'move up',
    description: 'Up a row',
    run: ({ ui }) => moveCursor(ui, -1),
  },
  {
    name: 'page-down',
    category: 'Move',
    label: 'page down',
    phrase: 'move down a page',
    description: 'Down a page',
    run: ({ ui, state }) => moveCursor(ui, pageRows(state)),
  },
  {
    name: 'page-up',
    category: 'Move',
    label: 'page up',
    phrase: 'move up a page',
    description: 'Up a page',
    run: ({ ui, state }) => moveCursor(ui, -pageRows(state)),
  },
  {
    name: 'top',
    category: 'Move',
    label: 'top',
    phrase: 'go to the first row',
    description: 'To the first row',
    run: ({ ui }) => moveCursor(ui, Number.NEGATIVE_INFINITY),
  },
  {
    name: 'bottom',
    category: 'Move',
    label: 'bottom',
    phrase: 'go to the last row',
    description: 'To the last row',
    run: ({ ui }) => moveCursor(ui, Number.POSITIVE_INFINITY),
  },
  {
    name: 'open',
    category: 'Move',
    label: 'open',
    phrase: 'open the VM',
    description: "Open the VM's screen",
    screens: ['vms'],
    bar: 10,
    unavailable: noVm,
    run: ({ state, vm }) => state.openScreen({ kind: 'vm', id: vm!.id }),
  },
  {
    name: 'back',
    category: 'Move',
    label: 'back',
    phrase: 'go back',
    description: 'Back to the screen before',
    screens: ['vm', 'function'],
    bar: 35,
    run: ({ state }) => state.closeScreen(),
  },
  {
    name: 'clear-filter',
    category: 'Move',
    label: 'clear marks or filter',
    description: 'Take the marks away, else clear the filter',
    screens: ['vms'],
    run: ({ state }) => {
      if (state.markedVms.size > 0) state.setMarkedVms(new Set());
      else state.setFilter('');
    },
  },
];

const look: readonly Action[] = [
  {
    name: 'about',
    category: 'Look',
    label: 'about',
    phrase: 'show details of the VM',
    description: 'What the VM is made of, and why it ended',
    screens: ['vms', 'vm'],
    bar: 40,
    unavailable: noVm,
    run: ({ state, vm }) => state.pushLayer({ kind: 'about', id: vm!.id, offset: 0 }),
  },
  {
    name: 'filter',
    category: 'Look',
    label: 'filter',
    description:
      'Filter by what is shown: a regular expression, !what must not match, or -f letters in this order',
    screens: ['vms', ...HOST_LISTS, 'log'],
    bar: 20,
    run: ({ state }) =>
      state.pushLayer({ kind: 'field', purpose: 'filter', edit: textEdit(shownFilter(state)) }),
  },
  {
    name: 'command-line',
    category: 'Look',
    label: 'command',
    phrase: 'open the command line',
    description:
      'Go by name: overview, vms, vm NAME, log, pci, iommu, sriov, vfio, doctor, help, q, or any command of this list; Tab completes',
    bar: 80,
    run: ({ state }) => state.pushLayer({ kind: 'field', purpose: 'command', edit: textEdit() }),
  },
  {
    name: 'help',
    category: 'Look',
    label: 'help',
    phrase: 'show the help',
    description: 'All keys that mean something here',
    bar: 90,
    run: ({ state }) => state.pushLayer({ kind: 'help', offset: 0 }),
  },
];

/** Screens with numbers that samples are compared for. */
const MEASURED = ['overview', 'vms', 'vm'] as const;

const measure: readonly Action[] = [
  {
    name: 'freeze',
    category: 'Measure',
    label: 'freeze',
    phrase: 'freeze the numbers',
    description: 'Hold the numbers still, or let them go on; the VMs run all the time',
    screens: MEASURED,
    run: ({ state }) => state.setSampling({ paused: !state.sampling.paused }),
  },
  {
    name: 'interval',
    category: 'Measure',
    label: 'interval',
    phrase: 'change the interval',
    description: `Time between samples: ${[...INTERVALS]
      .sort((a, b) => a - b)
      .map(ms => ms / 1000)
      .join(', ')} s`,
    screens: MEASURED,
    run: ({ state, ui }) => {
      const at = INTERVALS.indexOf(state.sampling.intervalMs);
      const intervalMs = INTERVALS[(at + 1) % INTERVALS.length]!;
      state.setSampling({ intervalMs });
      ui.notify('info', `a sample every ${intervalMs / 1000} s`);
    },
  },
  {
    name: 'reset-totals',
    category: 'Measure',
    label: 'zero totals',
    phrase: 'reset the totals',
    description: 'Count totals from now on',
    screens: MEASURED,
    run: ({ ui }) => {
      ui.samples.resetTotals();
      ui.notify('info', 'totals count from now on');
    },
  },
];

const program: readonly Action[] = [
  {
    name: 'redraw',
    category: 'Program',
    label: 'redraw',
    phrase: 'redraw the screen',
    description: 'Draw the whole screen anew',
    run: ({ ui }) => ui.repaint(),
  },
  {
    name: 'suspend',
    category: 'Program',
    label: 'suspend',
    description: 'Leave the terminal to the shell; `fg` brings vring back',
    run: ({ ui }) => void ui.attempt(ui.stop()),
  },
  quitAction,
];

export const viewActions: readonly Action[] = [...move, ...look, ...measure, ...program];
