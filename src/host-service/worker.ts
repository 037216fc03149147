import { existsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { printable } from '../text/printable.ts';
import { HostClient } from './client.ts';
import type { HostConnection, HostSource } from './source.ts';

/**
 * The host below a directory, read on a thread of its own.
 * @param root `/`, or a recording, which cannot be changed
 */
export function hostSource(root: string): HostSource {
  return {
    unchangeable: root === '/' ? permission() : `this is a recorded host (${root})`,
    recording: root === '/' ? null : recordingName(root),
    connect: () => startThread(root),
  };
}

/** Names without meaning: for `web-01/tree`, use `web-01`. */
const PLAIN_NAMES = new Set(['tree', 'root', 'host', 'recording']);

function recordingName(root: string): string {
  const name = basename(root);
  const above = basename(dirname(root));
  return printable(PLAIN_NAMES.has(name) && above !== '' ? above : name);
}

function permission(): string | null {
  return process.getuid?.() === 0 ? null : 'only root may change the host';
}

function startThread(root: string): HostConnection {
  const worker = new Worker(entryPoint(), { name: 'vring-host', workerData: root, stdin: false });
  const client = new HostClient(worker);
  let lost = (_: string) => {};
  const end = (reason: string) => {
    client.lost(reason);
    lost(reason);
  };
  worker.on('error', error => end(`the host can no longer be read: ${error.message}`));
  return {
    client,
    onLost: listener => {
      lost = listener;
    },
    close: async () => {
      await worker.terminate();
    },
  };
}

/** The bundle beside this one, or the source when running from it. */
function entryPoint(): string {
  const folders = [import.meta.dirname, join(import.meta.dirname, '..')];
  const bundled = folders.map(folder => join(folder, 'host-thread.js')).find(existsSync);
  return bundled ?? join(import.meta.dirname, 'thread.ts');
}
