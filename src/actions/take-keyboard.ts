import type { Ui } from './ui.ts';

/** Gives the keyboard to the console that is shown; where somebody else types, asks whether to take it from them. */
export function takeKeyboard(ui: Ui, id: string, take = false): void {
  // What is typed next is the guest's already, although the answer may have a long way.
  ui.store.getState().pushLayer({ kind: 'console', id });
  // A PS/2 keyboard is everybody's.
  if (ui.screens.isShown) return;
  ui.consoles.takeKeyboard(take).catch((error: Error) => {
    ui.store.getState().releaseConsole(id);
    const question = {
      title: `Take the keyboard of ${id}?`,
      body: `${error.message}. What they type then goes nowhere until they take it back.`,
      verb: 'Take it',
    };
    ui.ask(question, () => takeKeyboard(ui, id, true));
  });
}
