import fs from 'node:fs';
import path from 'node:path';

/** Editors write a file in several steps: changes within this time count as one. */
const SETTLE_MS = 100;
/** How often to poll when the system has run out of inotify watches. */
const POLL_MS = 2000;

/**
 * Calls `changed` when something in a folder changes, even if the folder itself is created, deleted or replaced.
 * Does not keep the process alive. @returns a function that stops watching
 */
export function watchFolder(folder: string, changed: () => void): () => void {
  let watcher: fs.FSWatcher | null = null;
  let watched: string | null = null;
  let timer: NodeJS.Timeout | undefined;
  let ended = false;

  const settle = (delay: number) => {
    clearTimeout(timer);
    timer = setTimeout(look, delay).unref();
  };
  const look = () => {
    if (ended) return;
    arm();
    changed();
    if (watcher === null) settle(POLL_MS);
  };
  const arm = () => {
    const here = nearestFolder(folder);
    const identity = identityOf(here);
    if (watcher !== null && identity === watched) return;
    watcher?.close();
    watched = identity;
    watcher = startWatcher(
      here,
      () => settle(SETTLE_MS),
      () => {
        watcher?.close();
        watcher = null;
        settle(SETTLE_MS);
      },
    );
  };

  arm();
  if (watcher === null) settle(POLL_MS);
  return () => {
    ended = true;
    clearTimeout(timer);
    watcher?.close();
  };
}

/** Null if the system has run out of watches (fs.inotify.max_user_watches). */
function startWatcher(folder: string, onEvent: () => void, onError: () => void): fs.FSWatcher | null {
  try {
    return fs.watch(folder, { persistent: false }, onEvent).on('error', onError);
  } catch {
    return null;
  }
}

/** The folder, or its nearest existing ancestor, in which it will appear. */
function nearestFolder(folder: string): string {
  let here = folder;
  while (identityOf(here) === null && path.dirname(here) !== here) here = path.dirname(here);
  return here;
}

function identityOf(folder: string): string | null {
  try {
    const { dev, ino } = fs.statSync(folder, { bigint: true });
    return `${dev} ${ino}`;
  } catch {
    return null;
  }
}
