import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, onTestFinished, test } from 'vitest';
import { allowLocking } from '../../../src/engine/host-devices/memlock.ts';
import { prlimit, RLIMIT_MEMLOCK, UNLIMITED } from '../../../src/vmm/native/libc.ts';

const MiB = 2 ** 20;
const GiB = 2 ** 30;

async function sleeper(): Promise<number> {
  const child = spawn('sleep', ['600']);
  onTestFinished(() => {
    child.kill('SIGKILL');
  });
  await once(child, 'spawn');
  return child.pid!;
}

/** A process whose soft limit is half its hard limit, and that hard limit. */
async function limited(): Promise<{ pid: number; hard: number }> {
  const pid = await sleeper();
  const [, most] = prlimit(pid, RLIMIT_MEMLOCK);
  const hard = most === UNLIMITED ? BigInt(8 * MiB) : most;
  prlimit(pid, RLIMIT_MEMLOCK, [hard / 2n, hard]);
  return { pid, hard: Number(hard) };
}

const limits = (pid: number) => prlimit(pid, RLIMIT_MEMLOCK).map(Number);

test('the limit covers the memory of the VM and a margin, as far as this process may raise it', async () => {
  const { pid, hard } = await limited();
  allowLocking(pid, 4 * GiB);
  const [soft, after] = limits(pid);
  expect([5 * GiB, hard]).toContain(soft);
  expect(after).toBe(soft);
});

test('no limit stays unlimited', async () => {
  const pid = await sleeper();
  if (prlimit(pid, RLIMIT_MEMLOCK)[1] !== UNLIMITED) return;
  prlimit(pid, RLIMIT_MEMLOCK, [UNLIMITED, UNLIMITED]);
  allowLocking(pid, GiB);
  expect(prlimit(pid, RLIMIT_MEMLOCK)).toEqual([UNLIMITED, UNLIMITED]);
});

test('ignores a process that is gone', () => {
  expect(() => allowLocking(2 ** 22 + 1, GiB)).not.toThrow();
});
