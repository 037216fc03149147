import { shownFilter } from '../store/list-slice.ts';
import { INTERVALS } from '../store/sampling-slice.ts';
import { LISTS } from '../store/screens.ts';
import { textEdit } from '../text/text-edit.ts';
import { type Action, noVm } from './action.ts';
import { pinCursor } from './cursor.ts';
import { moveCursor, pageRows } from './move.ts';
import { closeScreen, openScreen } from './navigate.ts';
import { quitAction } from './quit.ts';
import type { Ui } from './ui.ts';

const move: readonly Action[] = [
  {
    name: 'down',
    category: 'Move',
    label: 'down',
    phrase: 'move down',
    description: 'Move down a row',
    run: ({ ui }) => moveCursor(ui, 1),
  },
  {
    name: 'up',
    category: 'Move',
    label: 'up',
    phrase: 'move up',
    description: 'Move up a row',
    run: ({ ui }) => moveCursor(ui, -1),
  },
  {
    name: 'page-down',
    category: 'Move',
    label: 'page down',
    phrase: 'move down a page',
    description: 'Move down a page',
    run: ({ ui, state }) => moveCursor(ui, pageRows(state)),
  },
  {
    name: 'page-up',
    category: 'Move',
    label: 'page up',
    phrase: 'move up a page',
    description: 'Move up a page',
    run: ({ ui, state }) => moveCursor(ui, -pageRows(state)),
  },
  {
    name: 'top',
    category: 'Move',
    label: 'top',
    phrase: 'go to the first row',
    description: 'Go to the first row',
    run: ({ ui }) => moveCursor(ui, Number.NEGATIVE_INFINITY),
  },
  {
    name: 'bottom',
    category: 'Move',
    label: 'bottom',
    phrase: 'go to the last row',
    description: 'Go to the last row',
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
    run: ({ ui, vm }) => openScreen(ui, { kind: 'vm', id: vm!.id }),
  },
  {
    name: 'back',
    category: 'Move',
    label: 'back',
    phrase: 'go back',
    description: 'Go back',
    screens: ['vm', 'function'],
    bar: 35,
    run: ({ ui }) => closeScreen(ui),
  },
  {
    name: 'clear-filter',
    category: 'Move',
    label: 'clear marks or filter',
    description: 'Clear the marks, else the filter',
    screens: ['vms'],
    run: ({ ui, state }) => {
      if (state.markedVms.size > 0) state.setMarkedVms(new Set());
      else {
        pinCursor(ui);
        state.setFilter('');
      }
    },
  },
];

const look: readonly Action[] = [
  {
    name: 'about',
    category: 'Look',
    label: 'about',
    phrase: 'show details of the VM',
    description: "Show the VM's configuration, and why it ended",
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
      'Filter rows by any column: text or a regular expression, field:text, cpu>50, !inverse; several terms ' +
      'must all match; -f fuzzy',
    screens: LISTS,
    bar: 20,
    run: ({ ui, state }) => {
      state.pushLayer({ kind: 'field', purpose: 'filter', edit: textEdit(shownFilter(state)) });
      prepareFilter(ui);
    },
  },
  {
    name: 'command-line',
    category: 'Look',
    label: 'command',
    phrase: 'open the command line',
    description:
      'Type a command: the name of a screen, vm NAME, sort COLUMN, or any command of this list; Tab completes',
    bar: 80,
    run: ({ state }) => state.pushLayer({ kind: 'field', purpose: 'command', edit: textEdit() }),
  },
  {
    name: 'help',
    category: 'Look',
    label: 'help',
    phrase: 'show the help',
    description: 'Show the keys of this screen',
    bar: 90,
    run: ({ state }) => state.pushLayer({ kind: 'help', offset: 0 }),
  },
];

/** Prepares a filter before the first letter is typed, in steps short enough not to delay a key. */
function prepareFilter(ui: Ui): void {
  setImmediate(() => {
    const end = performance.now() + PREPARE_STEP_MS;
    if (!ui.hostSelect.prepareShownFilter(ui.store.getState(), () => performance.now() < end))
      prepareFilter(ui);
  });
}

const PREPARE_STEP_MS = 1;

/** Screens that show samples. */
const MEASURED = ['overview', 'vms', 'vm', 'queues'] as const;

const measure: readonly Action[] = [
  {
    name: 'freeze',
    category: 'Measure',
    label: 'freeze',
    phrase: 'freeze the numbers',
    description: 'Freeze or unfreeze the numbers; the VMs keep running',
    screens: MEASURED,
    run: ({ state }) => state.setSampling({ paused: !state.sampling.paused }),
  },
  {
    name: 'interval',
    category: 'Measure',
    label: 'interval',
    phrase: 'change the interval',
    description: `Change the time between samples: ${[...INTERVALS]
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
    description: 'Reset totals to zero',
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
    description: 'Redraw the screen',
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
