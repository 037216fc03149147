import { appendFileSync, fstatSync, renameSync, statSync } from 'node:fs';
import type { LogEntry } from '../engine/vm-info.ts';
import { writeErr } from '../text/output.ts';
import { printableLines } from '../text/printable.ts';

/** The log of a background manager is rotated at this size; one old file is kept. */
const MAX_LOG_BYTES = 2 ** 20;

/** Syslog's priorities, as journald reads them at the start of a line (sd-daemon(3)). */
const PRIORITY: Readonly<Record<LogEntry['level'], number>> = { error: 3, warning: 4, info: 6 };

export type LogWriter = (entry: LogEntry) => void;

/** Logs to stderr: for journald if stderr is its stream, else for a person. */
export function stderrLog(env: Readonly<Record<string, string | undefined>> = process.env): LogWriter {
  const journal = isJournal(env.JOURNAL_STREAM);
  return entry => {
    for (const line of linesOf(entry)) {
      const prefix = journal ? `<${PRIORITY[entry.level]}>` : `vring: ${level(entry)}`;
      writeErr(`${prefix}${line}\n`);
    }
  };
}

/** Whether stderr is the journal's stream: systemd passes its device and inode (systemd.exec(5)). */
function isJournal(stream: string | undefined): boolean {
  if (stream === undefined) return false;
  const { dev, ino } = fstatSync(2, { bigint: true });
  return stream === `${dev}:${ino}`;
}

/** Logs to a file. If the disk is full or the folder is gone, lines are dropped and their number is logged later. */
export function fileLog(path: string): LogWriter {
  let lost = 0;
  return entry => {
    const time = new Date(entry.at).toISOString();
    const missing = lost > 0 ? `${time} warning: ${lost} lines could not be written here\n` : '';
    const lines = linesOf(entry).map(line => `${time} ${level(entry)}${line}\n`);
    try {
      rotate(path);
      appendFileSync(path, missing + lines.join(''), { mode: 0o600 });
      lost = 0;
    } catch {
      lost += lines.length;
    }
  };
}

function rotate(path: string): void {
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  if (size >= MAX_LOG_BYTES) renameSync(path, `${path}.1`);
}

function level({ level }: LogEntry): string {
  return level === 'info' ? '' : `${level}: `;
}

function linesOf({ vm, text }: LogEntry): string[] {
  const about = vm === null ? '' : `${vm}: `;
  return printableLines(text).map(line => `${about}${line}`);
}
