import type { SliceCreator } from './slice.ts';

export type ConsoleSlice = {
  /** The VM whose serial console is being shown, and a number that changes whenever its picture does. */
  readonly console: { readonly id: string; readonly revision: number } | null;
  /** What was searched in the console last; empty before that. */
  readonly consoleSearch: string;
  /** Changes whenever the picture of the VM's screen does that is in sight. */
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
