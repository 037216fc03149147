import type { StateCreator } from 'zustand/vanilla';
import type { AppState } from './app-store.ts';

export type ConsoleSlice = {
  /** The VM whose serial console is being shown, and a number that changes whenever its picture does. */
  readonly console: { readonly id: string; readonly revision: number } | null;
  consoleShown(id: string | null): void;
  consoleChanged(): void;
};

export const createConsoleSlice: StateCreator<AppState, [], [], ConsoleSlice> = set => ({
  console: null,
  consoleShown: id => set({ console: id === null ? null : { id, revision: 0 } }),
  consoleChanged: () =>
    set(state =>
      state.console ? { console: { ...state.console, revision: state.console.revision + 1 } } : {},
    ),
});
