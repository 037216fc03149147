import { followScreen } from '../engine/screen/follow-screen.ts';
import type { VmInfo } from '../engine/vm-info.ts';
import { isAlive } from '../engine/vm-info.ts';
import { struck } from '../screen/keyboard/key-strokes.ts';
import { preferredLayout } from '../screen/keyboard/preferred-layout.ts';
import { sendInput } from '../screen/keyboard/send-input.ts';
import { SPECIAL_CHORDS } from '../screen/keyboard/special-chords.ts';
import { saveScreenshot } from '../screen/picture/save-screenshot.ts';
import { attachScreen, noScreen, terminalLooks } from '../screen/terminal/attach.ts';
import { textEdit } from '../text/text-edit.ts';
import { type Action, type ActionContext, NO_VM } from './action.ts';
import type { Ui } from './ui.ts';

/** Why there is no screen to show; null if there is one. */
function unavailable({ vm }: ActionContext): string | null {
  if (vm === null) return NO_VM;
  return isAlive(vm) ? noScreen(vm) : `${vm.name} is ${vm.state}`;
}

/** Hands the terminal to the screen of a VM until the user leaves it. */
async function showOnTerminal(ui: Ui, vm: VmInfo): Promise<void> {
  const { stdin, stdout, env } = process;
  const layout = preferredLayout(vm);
  let text: string | null = null;
  await ui.lend(async () => {
    stdin.setRawMode(true);
    stdin.resume();
    const screen = attachScreen(ui.engine, vm, {
      ...{ stdin, stdout, layout, readOnly: ui.readOnly !== null },
      ...terminalLooks(env, false),
    });
    try {
      text = await screen.left;
    } finally {
      screen.close();
      stdin.setRawMode(false);
    }
  });
  if (text !== null) ui.notify('info', text);
}

async function savePicture(ui: Ui, vm: VmInfo): Promise<void> {
  const link = followScreen(ui.engine, vm.id);
  try {
    const view = await link.next();
    ui.notify('info', `saved ${saveScreenshot(view?.frame ?? { kind: 'off' }, vm.name)}`);
  } finally {
    link.close();
  }
}

function chooseKeys({ ui, vm }: ActionContext): void {
  const { id, name } = vm!;
  ui.store.getState().pushLayer({
    kind: 'pick',
    title: `Send keys to ${name}: those that a terminal does not send, or keeps for itself`,
    hint: 'Type to narrow',
    columns: [{ key: 'keys', title: 'KEYS', min: 20, grow: 1 }],
    rows: SPECIAL_CHORDS.map(({ label }) => ({ key: label, cells: { keys: label }, refusal: null })),
    edit: textEdit(),
    cursor: 0,
    pick: picked => {
      const { chord } = SPECIAL_CHORDS.find(({ label }) => label === picked)!;
      void ui.attempt(sendInput(ui.engine, id, struck(chord), ui.clock));
    },
  });
}

/** Actions on the screen and the keyboard of a VM. */
export const screenActions: readonly Action[] = [
  {
    name: 'screen',
    category: 'Console',
    label: 'screen',
    phrase: 'show the screen on the whole terminal',
    description: "Show the VM's screen on the whole terminal and type into it; Ctrl-] leaves",
    screens: ['vm'],
    unavailable,
    run: ({ ui, vm }) => void ui.attempt(showOnTerminal(ui, vm!)),
  },
  {
    name: 'send-keys',
    category: 'Console',
    label: 'send keys',
    phrase: 'press the keys',
    description: 'Press keys that a terminal does not send, such as Ctrl-Alt-Delete',
    screens: ['vm'],
    changes: 'vm',
    unavailable: ({ vm }) => {
      if (vm === null) return NO_VM;
      return isAlive(vm) ? null : `${vm.name} is ${vm.state}`;
    },
    run: chooseKeys,
  },
  {
    name: 'screenshot',
    category: 'Console',
    label: 'picture',
    phrase: 'save a picture of the screen',
    description: "Save a picture of the VM's screen as a PNG in the working directory",
    screens: ['vm'],
    unavailable,
    run: ({ ui, vm }) => void ui.attempt(savePicture(ui, vm!)),
  },
];
