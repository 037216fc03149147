import type { LogEntry } from '../engine/vm-info.ts';
import { printable, printableLines } from '../text/printable.ts';
import type { SliceCreator } from './slice.ts';

/** As many as the engine keeps. */
const KEPT = 1000;

export type LogSlice = {
  /** What has happened, oldest first. */
  readonly log: readonly LogEntry[];
  /** Number of the entry that the cursor of the log's screen is on; null: on the last one, whichever that is. */
  readonly logCursor: number | null;

  logListed(entries: readonly LogEntry[]): void;
  logged(entry: LogEntry): void;
  setLogCursor(entry: number | null): void;
};

export const createLogSlice: SliceCreator<LogSlice> = set => ({
  log: [],
  logCursor: null,

  logListed: entries => set({ log: entries.map(printableEntry) }),
  logged: entry => set(state => ({ log: [...state.log.slice(1 - KEPT), printableEntry(entry)] })),
  setLogCursor: logCursor => set({ logCursor }),
});

function printableEntry(entry: LogEntry): LogEntry {
  return {
    ...entry,
    vm: entry.vm === null ? null : printable(entry.vm),
    text: printableLines(entry.text).join('\n'),
  };
}
