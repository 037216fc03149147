import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { ThreadClock } from '../../../src/engine/sampling/thread-clock.ts';

test('a thread of this process has its CPU time, CPU and id', () => {
  const clock = new ThreadClock(process.pid);
  const before = clock.times(process.pid);
  while (process.cpuUsage().user < before.userNs / 1000 + 50_000);
  const after = clock.times(process.pid);
  expect(after.id).toBe(process.pid);
  expect(after.userNs).toBeGreaterThan(before.userNs);
  expect(after.hostCpu).toBeTypeOf('number');
  expect(clock.times(0)).toEqual({ guestNs: 0, userNs: 0, systemNs: 0, hostCpu: null, id: null });
});

test.skipIf(process.getuid!() !== 0)(
  'a thread in a PID namespace is found by its id in the namespace (needs root)',
  async () => {
    const child = spawn('unshare', ['--pid', '--fork', 'sh', '-c', 'echo up; exec cat'], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    try {
      await once(child.stdout, 'data');
      const [inner] = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').split(' ');
      const clock = new ThreadClock(Number(inner));
      expect(clock.times(1).id).toBe(Number(inner));
      expect(clock.times(Number(inner)).id).toBeNull();
      const exited = once(child, 'exit');
      child.stdin.end();
      await exited;
      expect(clock.times(1).id).toBeNull();
    } finally {
      child.kill('SIGKILL');
    }
  },
);
