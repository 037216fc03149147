import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { LocalEngine } from '../../../src/engine/local-engine.ts';
import { currentBootId, startTicksOf } from '../../../src/host/process-identity.ts';
import { findMachines } from '../../../src/manager/machines/find.ts';
import { readRecords, socketOf, writeRecord } from '../../../src/manager/machines/machine-record.ts';
import { sweepPlaces } from '../../../src/manager/machines/register.ts';
import { managerPaths } from '../../../src/manager/paths.ts';
import { counterShape } from '../../../src/vmm/counters/counter-shape.ts';
import { parseMachineConfig } from '../../../src/vmm/machine/config.ts';
import { PROTOCOL } from '../../../src/vmm/machine/messages.ts';
import { AF_UNIX, bind, close, SOCK_STREAM, socket } from '../../../src/vmm/native/libc.ts';
import { unixAddress } from '../../../src/vmm/native/unix-socket.ts';
import type { FalseMachine } from '../../support/false-machine.ts';
import { openFds } from '../../support/fds.ts';
import { isRunning, NODE, withOwnFolders } from '../../support/manager-process.ts';
import { until } from '../../support/until.ts';

withOwnFolders();

const ID = '0123abcd';
const TOKEN = 'f'.repeat(32);
const HELLO = { kind: 'hello', protocol: PROTOCOL, version: '9.9.9', token: TOKEN };
const config = parseMachineConfig({ name: 'web', boot: { kind: 'kernel', path: '/boot/vmlinux' } });
const program = join(import.meta.dirname, '../../support/false-machine.ts');

/** Processes that end just before they are watched. */
const endingWhenWatched = new Set<number>();
vi.mock('../../../src/engine/machines/process-watch.ts', async original => {
  const module = await original<typeof import('../../../src/engine/machines/process-watch.ts')>();
  class ProcessWatch extends module.ProcessWatch {
    constructor(pid: number) {
      if (endingWhenWatched.has(pid)) {
        process.kill(pid, 'SIGKILL');
        throw Object.assign(new Error('pidfd_open: ESRCH'), { code: 'ESRCH' });
      }
      super(pid);
    }
  }
  return { ...module, ProcessWatch };
});

let folder: string;
let engine: LocalEngine;
const processes: ChildProcess[] = [];
beforeEach(() => {
  folder = managerPaths().machines;
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  engine = new LocalEngine();
});
afterEach(async () => {
  await engine.close();
  for (const process of processes.splice(0)) process.kill('SIGKILL');
});

/** A process that listens at the socket, without a record. */
async function listening(change: Partial<FalseMachine> = {}, slot = 0): Promise<number> {
  const shape = counterShape(config);
  const options: FalseMachine = { says: HELLO, counters: 'right', shape, hangsUp: false, ...change };
  const [node, ...args] = [...NODE, program, socketOf(folder, ID, slot), JSON.stringify(options)];
  const child = spawn(node!, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  processes.push(child);
  await once(child.stdout, 'data');
  return child.pid!;
}

function sleeping(): number {
  const child = spawn('sleep', ['60'], { stdio: 'ignore' });
  processes.push(child);
  return child.pid!;
}

function record(pid: number, next?: { pid: number; token: string }): void {
  writeRecord(folder, ID, {
    version: 1,
    name: 'web',
    pid,
    startTime: startTicksOf(pid)!,
    bootId: currentBootId(),
    token: TOKEN,
    startedAt: 1000,
    uid: null,
    config,
    ...(next && { successor: { ...next, startTime: startTicksOf(next.pid)!, slot: 1 } }),
  });
}

/** Takes over the machines that exist. */
async function taken() {
  const problems: string[] = [];
  const found = findMachines(folder, (vm, text) => problems.push(`${vm}: ${text}`));
  await engine.adopt(found);
  return { problems, found };
}

const web = () => engine.vms().find(({ name }) => name === 'web');

describe('a machine of an earlier manager', () => {
  test('is taken over, with its uptime, once it has sent its introduction', async () => {
    const pid = await listening();
    record(pid);
    const { problems } = await taken();
    expect(problems).toEqual([]);
    expect(web()).toMatchObject({ pid, startedAt: 1000 });
    await until(() => engine.counters('web') !== null);
    await engine.kill('web');
    expect(web()).toMatchObject({ state: 'off', pid: null });
    // Its record was removed, too.
    expect(readdirSync(folder)).toEqual([]);
  });

  const anyShape = { vcpus: 1, queues: 1, regions: 1 };

  test.each<[string, Partial<FalseMachine>, string]>([
    ['another token', { says: { ...HELLO, token: 'x'.repeat(32) } }, 'it does not know its token'],
    [
      'another protocol',
      { says: { ...HELLO, protocol: 77 } },
      'it was started by vring 9.9.9, whose machines this version cannot manage',
    ],
    [
      'no introduction',
      { says: { kind: 'state', state: 'running' } },
      'the machine did not introduce itself',
    ],
    ['no JSON', { says: '03000000017b22' }, 'JSON'],
    ['a frame of 4 GiB', { says: 'ffffffff01' }, 'a frame of 4294967295 bytes is not valid'],
    ['no counters', { counters: 'none' }, 'it did not pass its counters'],
    ['more fds than anybody needs', { counters: 'many' }, 'it did not pass its counters'],
    ['counters that may shrink', { counters: 'unsealed' }, 'the counters are not sealed'],
    ['short counters', { counters: 'short' }, 'the counters do not have the size of this machine'],
    ['counters of another shape', { shape: anyShape }, 'the counters do not have the size of this machine'],
  ])('that offers %s is stuck, with the reason, and can be killed', async (_, change, reason) => {
    const pid = await listening(change);
    record(pid);
    const fds = openFds();
    await taken();
    expect(web()).toMatchObject({ state: 'stuck', reason: expect.stringContaining(reason), pid });
    await expect(engine.pause('web')).rejects.toThrow('web is stuck');
    await engine.kill('web');
    expect(web()!.pid).toBeNull();
    expect(readdirSync(folder)).toEqual([]);
    await until(() => openFds() <= fds);
  });

  test('that is silent is stuck, and is taken over once it responds', async () => {
    const pid = await listening();
    record(pid);
    process.kill(pid, 'SIGSTOP');
    await taken();
    expect(web()).toMatchObject({ state: 'stuck', reason: expect.stringContaining(`kill -CONT ${pid}`) });
    process.kill(pid, 'SIGCONT');
    await until(() => engine.counters('web') !== null);
  });

  test('that does not listen yet is waited for', async () => {
    // As after a manager died during a start: the socket is bound, and its machine is about to listen.
    const pid = sleeping();
    record(pid);
    const path = socketOf(folder, ID);
    const fd = socket(AF_UNIX, SOCK_STREAM);
    onTestFinished(() => close(fd));
    bind(fd, path, unixAddress(path));
    const { problems } = await taken();
    expect(problems).toEqual([]);
    expect(web()).toMatchObject({ state: 'stuck', pid });
    await engine.kill('web');
    expect(web()!.pid).toBeNull();
  });

  test('that closes the connection without a message, and keeps running, is stuck', async () => {
    const pid = await listening({ says: null, hangsUp: true });
    record(pid);
    await taken();
    expect(web()).toMatchObject({
      state: 'stuck',
      pid,
      reason: expect.stringContaining('closes the connection'),
    });
    await engine.kill('web');
  });

  test('is not confused with another process that listens on its socket', async () => {
    const squatter = await listening();
    const pid = sleeping();
    record(pid);
    const { problems, found } = await taken();
    expect(problems).toEqual([
      `web: its process ${pid} is not taken over: process ${squatter} listens at its socket`,
    ]);
    expect(found).toEqual([]);
    expect(web()).toBeUndefined();
  });

  test('that is gone is not found', async () => {
    const pid = sleeping();
    record(pid);
    const child = processes.at(-1)!;
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(await taken()).toEqual({ problems: [], found: [] });
  });
});

describe('a machine that an earlier manager had handed over', () => {
  const NEXT = 'e'.repeat(32);
  const HELLO_NEXT = { ...HELLO, token: NEXT };
  const kill = (pid: number) => process.kill(pid, 'SIGKILL');
  const one = () => readRecords(folder, () => {})[0]!.record;

  /** Its two processes, each of which would be a valid machine. */
  async function both() {
    const [old, next] = [await listening(), await listening({ says: HELLO_NEXT }, 1)];
    record(old, { pid: next, token: NEXT });
    return { old, next };
  }

  test.each(['old', 'next'] as const)(
    'is taken over from the %s process once the other one is gone',
    async left => {
      const { old, next } = await both();
      const [stays, goes] = left === 'old' ? [old, next] : [next, old];
      const taking = taken();
      await new Promise(setImmediate);
      expect(engine.counters('web')).toBeNull();
      kill(goes);
      expect((await taking).problems).toEqual([]);
      await until(() => engine.counters('web') !== null);
      expect(web()).toMatchObject({ pid: stays, startedAt: 1000 });
      expect(one()).toMatchObject({ pid: stays, startedAt: 1000 });
      expect(one().successor).toBeUndefined();
      // The socket of the other process is gone, too.
      expect(readdirSync(folder)).toHaveLength(2);
      await engine.kill('web');
      expect(readdirSync(folder)).toEqual([]);
    },
  );

  test.each(['old', 'next'] as const)(
    'is taken over from the %s process if the other one was already gone',
    async left => {
      const { old, next } = await both();
      const [stays, goes] = left === 'old' ? [old, next] : [next, old];
      // The next manager has seen both of them.
      sweepPlaces(managerPaths());
      kill(goes);
      await until(() => one().successor === undefined);
      const { problems } = await taken();
      expect(problems).toEqual([]);
      expect(JSON.parse(readFileSync(join(folder, `${ID}.json`), 'utf8')).successor).toBeUndefined();
      expect(readdirSync(folder)).toHaveLength(2);
      await until(() => engine.counters('web') !== null);
      expect(web()!.pid).toBe(stays);
    },
  );

  test.each([
    { left: 'old', ends: ['next'] },
    { left: 'next', ends: ['old'] },
    { left: null, ends: ['old', 'next'] },
  ] as const)(
    'is taken over from the $left process if $ends ended just before they were watched',
    async ({ left, ends }) => {
      const pids = await both();
      for (const name of ends) endingWhenWatched.add(pids[name]);
      const { problems } = await taken();
      expect(problems).toEqual([]);
      if (left === null) {
        expect(web()).toBeUndefined();
        expect(readdirSync(folder)).toEqual([]);
      } else {
        await until(() => engine.counters('web') !== null);
        expect(web()!.pid).toBe(pids[left]);
        expect(readdirSync(folder)).toHaveLength(2);
      }
    },
  );

  test('is stuck while both processes exist and nothing happens, and is killed with both', async () => {
    const { old, next } = await both();
    process.kill(next, 'SIGSTOP');
    await taken();
    expect(web()).toMatchObject({
      state: 'stuck',
      reason: `it is being handed over, and its process ${next} was stopped by a signal: kill -CONT ${next} resumes it`,
    });
    await engine.kill('web');
    await until(() => [old, next].every(pid => !isRunning(pid)));
    expect(web()!.state).toBe('off');
    expect(readdirSync(folder)).toEqual([]);
  });

  test('is crashed if both processes are gone', async () => {
    const { old, next } = await both();
    for (const pid of [old, next]) kill(pid);
    await until(() => readRecords(folder, () => {}).length === 0);
    sweepPlaces(managerPaths());
    expect(await taken()).toEqual({ problems: [], found: [] });
    expect(readdirSync(folder)).toEqual([]);
  });
});
