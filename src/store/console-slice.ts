import type { SliceCreator } from './slice.ts';

export type ConsoleSlice = {
  /** The VM whose serial console is shown, and a number that changes with its contents. */
  readonly console: { readonly id: string; readonly revision: number } | null;
  /** The last text searched for in the console; empty before the first search. */
  readonly consoleSearch: string;
  /** Changes with the contents of the visible VM screen. */
  readonly vmScreenRevision: number;
  consoleShown(id: string | null): void;
  vmScreenChanged(): void;
  consoleChanged(): void;
  setConsoleSearch(text: string): void;
};

export const createConsoleSlice: SliceCreator<ConsoleSlice> = set => ({
  console: null,
  consoleSearch: '',
  vmScreenRevision: 0,
  vmScreenChanged: () => set(state => ({ vmScreenRevision: state.vmScreenRevision + 1 })),
  setConsoleSearch: consoleSearch => set({ consoleSearch }),
  consoleShown: id => set({ console: id === null ? null : { id, revision: 0 }, consoleSearch: '' }),
  consoleChanged: () =>
    set(state =>
      state.console ? { console: { ...state.console, revision: state.console.revision + 1 } } : {},
    ),
});
