import type { Ui } from './ui.ts';

/** Takes the keyboard of the console that is shown; if another client holds it, asks first. */
export function takeKeyboard(ui: Ui, id: string, take = false): void {
  // Input goes to the guest from here on, although the answer may take long to arrive.
  ui.store.getState().pushLayer({ kind: 'console', id });
  // A PS/2 keyboard has no holder.
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
