import { readlinkSync } from 'node:fs';
import { userInfo } from 'node:os';
import type { ConsoleWatcher } from './engine.ts';

/** This process's terminal: `root@pts/3`; `root@pid 4711` without one. */
export function thisTerminal(): string {
  return `${userName()}@${terminalName() ?? `pid ${process.pid}`}`;
}

/** This terminal as a watcher of a console. */
export function thisTerminalUser(): ConsoleWatcher {
  return { name: thisTerminal(), answers: true };
}

/** This process's user. */
export function userName(): string {
  try {
    return userInfo().username;
  } catch {
    // A uid without a passwd entry.
    return `uid ${process.getuid?.() ?? '?'}`;
  }
}

function terminalName(): string | null {
  for (const fd of [0, 1, 2]) {
    try {
      const path = readlinkSync(`/proc/self/fd/${fd}`);
      if (/^\/dev\/(pts\/|tty)/.test(path)) return path.slice('/dev/'.length);
    } catch {
      // A closed file descriptor.
    }
  }
  return null;
}
