import { readlinkSync } from 'node:fs';
import { userInfo } from 'node:os';
import type { ConsoleWatcher } from './engine.ts';

/** Who sits at this process's terminal: `root@pts/3`; `root@pid 4711` where there is none. */
export function thisTerminal(): string {
  return `${userName()}@${terminalName() ?? `pid ${process.pid}`}`;
}

/** Whoever sits there, as a watcher of a console. */
export function somebodyHere(): ConsoleWatcher {
  return { name: thisTerminal(), answers: true };
}

/** This process's user. */
export function userName(): string {
  try {
    return userInfo().username;
  } catch {
    // A uid that no user has.
    return `uid ${process.getuid?.() ?? '?'}`;
  }
}

function terminalName(): string | null {
  for (const fd of [0, 1, 2]) {
    try {
      const path = readlinkSync(`/proc/self/fd/${fd}`);
      if (/^\/dev\/(pts\/|tty)/.test(path)) return path.slice('/dev/'.length);
    } catch {
      // A file descriptor that is closed.
    }
  }
  return null;
}
