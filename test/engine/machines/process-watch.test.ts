import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, describe, expect, test } from 'vitest';
import { MachineConnection } from '../../../src/engine/machines/machine-connection.ts';
import { deathOfStranger, ProcessMachine } from '../../../src/engine/machines/process-machine.ts';
import { isHeld, ProcessWatch, whyStuck } from '../../../src/engine/machines/process-watch.ts';
import { startTicksOf } from '../../../src/host/process-identity.ts';
import { close, socketPair } from '../../../src/vmm/native/libc.ts';
import { sendNow } from '../../../src/vmm/native/unix-socket.ts';
import { isRunning } from '../../support/manager-process.ts';
import { until } from '../../support/until.ts';

const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

function sleeping(): ChildProcess & { readonly pid: number } {
  const child = spawn('sleep', ['60'], { stdio: 'ignore' });
  children.push(child);
  return child as ChildProcess & { readonly pid: number };
}

const GONE = 2 ** 22 - 1;

describe('a watched process', () => {
  test('is known to have ended, and signals no longer reach any process', async () => {
    const { pid } = sleeping();
    const watch = new ProcessWatch(pid);
    expect(watch.hasExited).toBe(false);
    watch.signal('SIGKILL');
    await watch.exited;
    expect(watch.hasExited).toBe(true);
    watch.signal('SIGKILL');
    expect(() => new ProcessWatch(GONE)).toThrow('ESRCH');
  });

  test('has a start time as long as it exists', async () => {
    const child = sleeping();
    const time = startTicksOf(child.pid)!;
    expect(time).toBeGreaterThan(0);
    expect(startTicksOf(child.pid)).toBe(time);
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(startTicksOf(child.pid)).toBeNull();
    expect(startTicksOf(GONE)).toBeNull();
  });

  test('is blocked when it is stopped or gone', async () => {
    const { pid } = sleeping();
    // It may not be asleep yet, and read from a disk.
    await until(() => whyStuck(pid) === `its process ${pid} does not respond (state S)`);
    expect(isHeld(pid)).toBe(false);
    process.kill(pid, 'SIGSTOP');
    await until(() => isHeld(pid));
    expect(whyStuck(pid)).toBe(`its process ${pid} was stopped by a signal: kill -CONT ${pid} resumes it`);
    expect(isHeld(GONE)).toBe(true);
  });

  test('is killed if it violates the protocol', async () => {
    const { pid } = sleeping();
    const [ours, theirs] = socketPair();
    const watch = new ProcessWatch(pid);
    const connection = new MachineConnection(ours);
    const machine = new ProcessMachine(watch, connection, deathOfStranger(watch, null));
    connection.listen({ message: () => {}, printed: () => {} });
    sendNow(theirs, Buffer.from([255, 255, 255, 255, 1]));
    expect(await machine.gone).toEqual({
      reason: 'its process was killed: a frame of 4294967295 bytes is not valid',
      detail: null,
    });
    expect(isRunning(pid)).toBe(false);
    close(theirs);
  });
});
