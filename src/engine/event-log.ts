import type { LogEntry } from './vm-info.ts';

const KEPT = 1000;

/** The last log entries; a listener is notified of each new one. */
export class EventLog {
  readonly #notify: (entry: LogEntry) => void;
  #entries: readonly LogEntry[] = [];
  #next = 1;

  constructor(notify: (entry: LogEntry) => void) {
    this.#notify = notify;
  }

  /** The last entries, oldest first. */
  get entries(): readonly LogEntry[] {
    return this.#entries;
  }

  /** Past entries of a renamed VM get its new name. */
  rename(from: string, to: string): void {
    this.#entries = this.#entries.map(entry => (entry.vm === from ? { ...entry, vm: to } : entry));
  }

  /** @param at when it happened, in milliseconds since 1970 */
  add(level: LogEntry['level'], vm: string | null, text: string, at = Date.now()): void {
    const entry = { number: this.#next++, at, vm, level, text };
    this.#entries = [...this.#entries.slice(1 - KEPT), entry];
    this.#notify(entry);
  }
}
