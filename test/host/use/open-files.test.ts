import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { assess } from '../../../src/host/passthrough/assess.ts';
import { readSurvey } from '../../../src/host/plan/survey.ts';
import { HostRoot } from '../../../src/host/root.ts';
import { holdersOf } from '../../../src/host/use/holders.ts';
import { readOpenFiles } from '../../../src/host/use/open-files.ts';
import type { TreeBuilder } from '../trees/builder.ts';
import { serverTree } from '../trees/server.ts';

const PROCESSES = 2000;
const FILES = 40;
const LAST = String(10_000 + PROCESSES - 1);

let tree: TreeBuilder;
afterEach(() => tree.remove());

/** A host with many more processes, which counts what is read of them. */
class BusyRoot extends HostRoot {
  reads = 0;

  override list(path: string): string[] | null {
    if (path === '/proc') {
      const more = Array.from({ length: PROCESSES }, (_, index) => String(10_000 + index));
      return [...(super.list(path) ?? []), ...more];
    }
    if (!this.#isProcess(path)) return super.list(path);
    return Array.from({ length: FILES }, (_, fd) => String(fd));
  }

  override link(path: string): string | null {
    if (!this.#isProcess(path)) return super.link(path);
    return path === `/proc/${LAST}/fd/7` ? '/dev/vfio/84' : `/var/log/${path.length}`;
  }

  override text(path: string, limit?: number): string | null {
    if (!this.#isProcess(path)) return super.text(path, limit);
    if (path.endsWith('/comm')) return 'dpdk\n';
    return path.endsWith('/maps') ? '7f00-7f01 r--p 00000000 fe:01 77 /usr/lib/libc.so\n'.repeat(100) : '';
  }

  #isProcess(path: string): boolean {
    if (!/^\/proc\/1\d{4}\//.test(path)) return false;
    this.reads++;
    return true;
  }
}

function busyRoot(): BusyRoot {
  tree = serverTree();
  tree.root();
  return new BusyRoot(tree.directory);
}

/** @returns the most that was read of processes while nothing else could run */
async function mostAtOnce(root: BusyRoot, read: Promise<unknown>): Promise<number> {
  let [most, before, isDone] = [0, root.reads, false];
  const done = read.finally(() => {
    isDone = true;
  });
  while (!isDone) {
    await turn();
    most = Math.max(most, root.reads - before);
    before = root.reads;
  }
  await done;
  return most;
}

test('the files of thousands of processes are read a few at a time', async () => {
  const root = busyRoot();
  const reading = readOpenFiles(root, { devices: true });
  expect(await mostAtOnce(root, reading)).toBeLessThanOrEqual(450);
  expect(root.reads).toBeGreaterThan(PROCESSES * FILES);
  const { byKey } = holdersOf(await reading, ({ target }) =>
    target.startsWith('/dev/vfio/') ? target : null,
  );
  expect(byKey.get('/dev/vfio/84')?.map(({ pid }) => pid)).toEqual([4211, Number(LAST)]);
});

test('processes with a device open are searched for once, before the device is refused to a VM', async () => {
  const root = busyRoot();
  const surveying = readSurvey(root);
  expect(await mostAtOnce(root, surveying)).toBeLessThanOrEqual(450);
  const survey = await surveying;
  const before = root.reads;
  const { devices } = assess(survey, { addresses: ['0000:3b:0a.0'] });
  const held = devices[0]!.reasons.filter(({ code }) => code === 'held');
  expect(held.map(({ reason }) => reason).join()).toContain(`dpdk (pid ${LAST})`);
  // Its name and user.
  expect(root.reads - before).toBeLessThan(10);
});
