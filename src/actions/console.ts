import { copyable } from '../console/clipboard.ts';
import { hasScreen, shownPort } from '../console/console-feed.ts';
import { bodyRows } from '../store/ui-slice.ts';
import { SCREEN_PORT, vmViewOf } from '../store/vm-view-slice.ts';
import { textEdit } from '../text/text-edit.ts';
import { bytes } from '../text/units.ts';
import type { Action, ActionContext } from './action.ts';
import type { Ui } from './ui.ts';

/** Whether the console is shown. */
export function isConsoleTab({ state, vm }: ActionContext): boolean {
  return state.console !== null && vm?.id === state.console.id && vmViewOf(state, vm.id).tab === 'console';
}

/** Goes to the next match of the last search, older or newer than the present line. */
export function findNext(ui: Ui, towards: 'older' | 'newer'): void {
  const state = ui.store.getState();
  const id = state.console?.id;
  const text = state.consoleSearch;
  if (id === undefined || text === '') return;
  const { cursors } = vmViewOf(state, id);
  const found = ui.consoles.find(text, cursors.console, towards);
  if (found === null) ui.notify('info', `no ${towards} line has "${text}"`);
  else state.changeVmView(id, { cursors: { ...cursors, console: found } });
}

/** The consoles of the VM; none while unknown. */
function consolesOf({ vm }: ActionContext) {
  return vm?.topology?.consoles ?? [];
}

/** The numbers of the tab's choices: the consoles, then the screen. */
function portsOf(context: ActionContext): readonly number[] {
  const ports = consolesOf(context).map(console => console.port);
  return hasScreen(context.vm ?? undefined) ? [...ports, SCREEN_PORT] : ports;
}

function showNextConsole(context: ActionContext): void {
  const { state, vm } = context;
  const ports = portsOf(context);
  const { cursors } = vmViewOf(state, vm!.id);
  const port = ports[(ports.indexOf(shownPort(state, vm!.id)) + 1) % ports.length]!;
  state.changeVmView(vm!.id, { port, cursors: { ...cursors, console: 0 } });
}

function backOf({ state, vm }: ActionContext): number {
  return vmViewOf(state, vm!.id).cursors.console;
}

/** Copies the marked lines, else the visible ones, and reports how many. */
function copy(context: ActionContext): void {
  const { ui, state } = context;
  // The tabs and the tab's title each take a line.
  const lines = ui.consoles.textToCopy(backOf(context), bodyRows(state) - 2);
  const copied = copyable(lines);
  const text = copied.join('\n');
  ui.copy(text);
  ui.consoles.unmark();
  const left = lines.length - copied.length;
  const rest = left === 0 ? '' : `; ${left} before do not fit`;
  const count = `${copied.length} line${copied.length === 1 ? '' : 's'}`;
  ui.notify('info', `copied ${count} (${bytes(Buffer.byteLength(text))}) to the clipboard${rest}`);
}

/** Actions on the text of a serial console. */
export const consoleActions: readonly Action[] = [
  {
    name: 'next-console',
    category: 'Console',
    label: 'next console',
    phrase: 'show the next console',
    description: 'Show the next console of the VM, such as its second serial port or its screen',
    screens: ['vm'],
    here: ({ state, vm }) => vm !== null && vmViewOf(state, vm.id).tab === 'console',
    unavailable: context => (portsOf(context).length > 1 ? null : 'the VM has one console'),
    run: showNextConsole,
  },
  {
    name: 'copy',
    category: 'Console',
    label: 'copy',
    phrase: 'copy the lines',
    description:
      'Copy the lines from the marked one to the last visible one, or all visible lines, to the clipboard (OSC 52)',
    screens: ['vm'],
    bar: 30,
    here: isConsoleTab,
    run: copy,
  },
  {
    name: 'mark-line',
    category: 'Console',
    label: 'mark',
    phrase: 'mark the line',
    description: 'Mark the last visible line as the start of what y copies, or remove the mark',
    screens: ['vm'],
    here: isConsoleTab,
    run: context => {
      const { ui } = context;
      if (!ui.consoles.toggleMark(backOf(context)))
        ui.notify('error', 'this line cannot be marked: the guest draws a full screen');
    },
  },
  {
    name: 'search',
    category: 'Console',
    label: 'search',
    phrase: 'search the console',
    description: 'Search the console for text; n finds older lines, N newer ones',
    screens: ['vm'],
    bar: 21,
    here: isConsoleTab,
    run: ({ state }) =>
      state.pushLayer({ kind: 'field', purpose: 'search', edit: textEdit(state.consoleSearch) }),
  },
  {
    name: 'search-older',
    category: 'Console',
    label: 'older match',
    phrase: 'search older lines',
    description: 'Go to the next older match',
    screens: ['vm'],
    here: isConsoleTab,
    unavailable: ({ state }) => (state.consoleSearch === '' ? 'there is no search yet: press / first' : null),
    run: ({ ui }) => findNext(ui, 'older'),
  },
  {
    name: 'search-newer',
    category: 'Console',
    label: 'newer match',
    phrase: 'search newer lines',
    description: 'Go to the next newer match',
    screens: ['vm'],
    here: isConsoleTab,
    unavailable: ({ state }) => (state.consoleSearch === '' ? 'there is no search yet: press / first' : null),
    run: ({ ui }) => findNext(ui, 'newer'),
  },
];
