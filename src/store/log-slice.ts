import type { LogEntry } from '../engine/vm-info.ts';
import { printable, printableLines } from '../text/printable.ts';
import type { SliceCreator } from './slice.ts';

/** As many as the engine keeps. */
const KEPT = 1000;

export type LogSlice = {
  /** The events, oldest first. */
  readonly log: readonly LogEntry[];
  /** Number of the entry under the cursor on the log's screen; null to follow the last one. */
  readonly logCursor: number | null;

  logListed(entries: readonly LogEntry[]): void;
  logged(entry: LogEntry): void;
  /** Adds an entry of this UI, which the manager does not know: its number is fractional. */
  noted(entry: Omit<LogEntry, 'number'>): void;
  setLogCursor(entry: number | null): void;
};

export const createLogSlice: SliceCreator<LogSlice> = set => ({
  log: [],
  logCursor: null,

  logListed: entries =>
    set(state => {
      const own = state.log.filter(isOwn);
      return { log: own.reduce(withOwn, entries.map(printableEntry)) };
    }),
  noted: entry => set(state => ({ log: withOwn(state.log, { ...entry, number: 0 }).slice(-KEPT) })),
  logged: entry => set(state => ({ log: [...state.log.slice(1 - KEPT), printableEntry(entry)] })),
  setLogCursor: logCursor => set({ logCursor }),
});

const OWN_STEP = 1e-4;

function isOwn({ number }: LogEntry): boolean {
  return !Number.isInteger(number);
}

/** The log with an entry of this UI, after the last one that is not younger. */
function withOwn(log: readonly LogEntry[], entry: LogEntry): LogEntry[] {
  const before = log.findLastIndex(({ at }) => at <= entry.at);
  const number = (log[before]?.number ?? 0) + OWN_STEP;
  return log.toSpliced(before + 1, 0, printableEntry({ ...entry, number }));
}

function printableEntry(entry: LogEntry): LogEntry {
  return {
    ...entry,
    vm: entry.vm === null ? null : printable(entry.vm),
    text: printableLines(entry.text).join('\n'),
  };
}
