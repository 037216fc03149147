import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { managerPaths } from '../../src/manager/paths.ts';
import { noKvm, onKvm } from '../support/kvm.ts';
import { guest, withOwnFolders } from '../support/manager-process.ts';
import { holdingsOf } from '../support/sandbox.ts';
import { Survival } from '../support/survival.ts';
import { until } from '../support/until.ts';

withOwnFolders();

/** More than the limits of these tests allow. */
const TOO_MANY = 100;

let survival: Survival;
beforeEach(() => {
  survival = new Survival(1);
});
afterEach(async () => {
  await survival[Symbol.asyncDispose]();
});

const isRoot = process.getuid!() === 0;
const pids = ['/sys/fs/cgroup/pids', '/sys/fs/cgroup'].find(folder => {
  const child = join(folder, `vring-test-${process.pid}`);
  try {
    mkdirSync(child);
    const can = existsSync(join(child, 'pids.max'));
    rmdirSync(child);
    return can;
  } catch {
    return false;
  }
});

const start = (name: string) => survival.engine.start(guest(name, 'quiet'));
const states = () => survival.engine.vms().map(({ name, state }) => `${name} ${state}`);

/** The machines that the manager and its folders know. */
async function held() {
  const { machines, runtime } = managerPaths();
  const names = readdirSync(join(runtime, 'vms')).sort();
  return { names, files: readdirSync(machines).length };
}

/** Starts VMs until one is refused. @returns the reason, and how many run */
async function startUntilRefused(): Promise<{ reason: string; running: number }> {
  for (let index = 0; index < TOO_MANY; index++) {
    try {
      await start(`vm${index}`);
    } catch (error) {
      return { reason: (error as Error).message, running: index };
    }
  }
  throw new Error(`all of ${TOO_MANY} VMs were started`);
}

/** The refused VM left nothing behind, the others keep running, and another VM can start once one of them ends. */
async function onlyOneIsRefused(running: number): Promise<void> {
  expect(running).toBeGreaterThan(1);
  // The list is updated after the response to a start.
  await until(() => states().length === running);
  expect(states()).toEqual(Array.from({ length: running }, (_, index) => `vm${index} running`).sort());
  expect(await held()).toEqual({
    names: Array.from({ length: running }, (_, index) => `vm${index}.lock`).sort(),
    files: 2 * running,
  });
  const before = holdingsOf(survival.managerPid);
  for (let round = 0; round < 5; round++) await expect(start('again')).rejects.toThrow();
  await until(() => holdingsOf(survival.managerPid).fds <= before.fds);
  expect(states()).toHaveLength(running);
  for (const index of [0, running - 1]) {
    await survival.engine.pause(`vm${index}`);
    await survival.engine.resume(`vm${index}`);
  }
  await survival.engine.kill('vm0');
  await survival.engine.kill('vm1');
  await start('again');
}

describe.skipIf(noKvm !== null)(onKvm('refuses one VM and runs the others'), () => {
  test('when the manager has no fds left', { timeout: 60_000 }, async () => {
    await survival.startManager(['prlimit', '--nofile=80:80']);
    const { reason, running } = await startUntilRefused();
    expect(reason).toMatch(/too many files are open: raise LimitNOFILE/);
    await onlyOneIsRefused(running);
  });

  test.skipIf(!isRoot || pids === undefined)(
    'when the cgroup has reached its process limit (needs root and the pids controller)',
    { timeout: 60_000 },
    async () => {
      const folder = join(pids!, `vring-test-${process.pid}`);
      mkdirSync(folder);
      onTestFinished(async () => {
        await until(() => {
          try {
            rmdirSync(folder);
            return true;
          } catch {
            return false;
          }
        });
      });
      const into = `echo $$ > ${folder}/cgroup.procs; exec "$@"`;
      await survival.startManager(['sh', '-c', into, 'sh']);
      await start('vm0');
      await start('vm1');
      const { threads } = holdingsOf(survival.managerPid);
      const now = Number(execFileSync('cat', [join(folder, 'pids.current')], { encoding: 'utf8' }));
      expect(now).toBeGreaterThan(threads);
      writeFileSync(join(folder, 'pids.max'), String(now + 15));
      let running = 2;
      const reason = await (async () => {
        for (; running < TOO_MANY; running++) {
          try {
            await start(`vm${running}`);
          } catch (error) {
            return (error as Error).message;
          }
        }
        return '';
      })();
      // Node itself ends by a signal where it cannot start the threads that it starts with.
      expect(reason).toMatch(/limit on processes is reached|EAGAIN|was ended by SIG(ABRT|SEGV|TRAP)/);
      await onlyOneIsRefused(running);
    },
  );

  test.skipIf(!isRoot)('when the runtime folder is full (needs root)', async () => {
    const { runtime } = managerPaths();
    mkdirSync(runtime, { mode: 0o700 });
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k,mode=700', 'tmpfs', runtime]);
    onTestFinished(async () => {
      await until(() => {
        try {
          execFileSync('umount', [runtime], { stdio: 'ignore' });
          return true;
        } catch {
          return false;
        }
      });
    });
    await survival.startManager();
    await start('vm0');
    await start('vm1');
    const filler = join(runtime, 'filler');
    const { bavail, bsize } = statfsSync(runtime);
    writeFileSync(filler, new Uint8Array(bavail * bsize));
    const before = holdingsOf(survival.managerPid);
    await expect(start('refused')).rejects.toThrow(/is full/);
    expect(states()).toEqual(['vm0 running', 'vm1 running']);
    await until(() => holdingsOf(survival.managerPid).fds <= before.fds);
    rmSync(filler);
    expect(await held()).toEqual({ names: ['vm0.lock', 'vm1.lock'], files: 4 });
    await start('refused');
    for (const { id } of survival.engine.vms()) await survival.engine.kill(id);
    await survival.end();
  });

  test.skipIf(!isRoot)('not when the state folder is full, which is reported once (needs root)', async () => {
    const { state } = managerPaths();
    mkdirSync(state, { mode: 0o700 });
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k,mode=700', 'tmpfs', state]);
    onTestFinished(() => {
      execFileSync('umount', ['--lazy', state], { stdio: 'ignore' });
    });
    await survival.startManager();
    const { bavail, bsize } = statfsSync(state);
    writeFileSync(join(state, 'filler'), new Uint8Array(bavail * bsize));
    for (const name of ['vm0', 'vm1', 'vm2']) await start(name);
    expect(states()).toEqual(['vm0 running', 'vm1 running', 'vm2 running']);
    const said = survival.engine.log().filter(({ text }) => text.includes('the record of running VMs'));
    expect(said).toHaveLength(1);
    await survival.engine.kill('vm0');
    await survival.end();
  });
});
