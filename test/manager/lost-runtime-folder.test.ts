import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { lockHolder } from '../../src/manager/file-lock.ts';
import { KeptReachable } from '../../src/manager/kept-reachable.ts';
import { lockVm } from '../../src/manager/vm-lock.ts';
import { vringJson } from '../support/cli.ts';
import { noKvm, onKvm } from '../support/kvm.ts';
import {
  attached,
  guest,
  isRunning,
  killedAtEnd,
  startManager,
  withOwnFolders,
} from '../support/manager-process.ts';
import { until } from '../support/until.ts';

withOwnFolders();

const runtime = () => process.env.VRING_RUNTIME_DIR!;
const machines = () => readdirSync(join(runtime(), 'machines')).sort();

describe.skipIf(noKvm !== null)(onKvm('the files of a running VM in the runtime folder'), () => {
  test.each([
    ['all of them', () => rmSync(runtime(), { recursive: true })],
    [
      'its record',
      () => rmSync(join(runtime(), 'machines', machines().find(file => file.endsWith('.json'))!)),
    ],
    [
      'its socket',
      () => rmSync(join(runtime(), 'machines', machines().find(file => file.endsWith('.sock'))!)),
    ],
    ['the lock of its name', () => rmSync(join(runtime(), 'vms/web.lock'))],
  ])('are created again, and the next manager finds the VM: %s', { timeout: 60_000 }, async (_, remove) => {
    const first = startManager();
    let engine = await attached();
    await engine.start(guest('web'));
    const { pid } = engine.vms()[0]!;
    killedAtEnd(pid!);
    const before = machines();
    // Twice: the second time, the manager is one that has found the machine.
    for (const manager of [first, null]) {
      const renewals = () =>
        engine.log().filter(({ text }) => text.includes('its files in the runtime folder'));
      const known = renewals().length;
      remove();
      await until(() => renewals().length > known);
      expect(machines()).toEqual(before);
      expect(lockHolder(join(runtime(), 'manager.lock'))).toContain(`process ${engine.manager.pid} of`);
      expect(() => lockVm('web')).toThrow(`the VM web is run by process ${pid} of`);
      const { pid: manages } = engine.manager;
      await engine.close();
      process.kill(manager?.pid ?? manages, 'SIGKILL');
      await until(() => !isRunning(manages));
      startManager();
      engine = await attached();
      expect(engine.vms()).toMatchObject([{ name: 'web', state: 'running', pid }]);
    }
    await engine.kill('web');
    expect(machines()).toEqual([]);
    expect(readdirSync(join(runtime(), 'vms'))).toEqual([]);
  });

  test('and the lock of the state folder, if that is removed', { timeout: 60_000 }, async () => {
    startManager();
    const engine = await attached();
    const lock = join(process.env.VRING_STATE_DIR!, 'manager.lock');
    rmSync(process.env.VRING_STATE_DIR!, { recursive: true });
    await until(() => lockHolder(lock)?.startsWith(`process ${engine.manager.pid} of`));
  });

  test('are waited for by commands, to which the VM is not off', async () => {
    startManager();
    const engine = await attached();
    await engine.start(guest('web'));
    rmSync(runtime(), { recursive: true });
    const { vms } = await vringJson('vm', 'list');
    expect(vms).toMatchObject([{ name: 'web', state: 'running', pid: engine.vms()[0]!.pid }]);
    await engine.kill('web');
  });

  test('are created again before a manager leaves the VM to the next one', async () => {
    const first = startManager();
    const engine = await attached();
    await engine.start(guest('web'));
    const { pid } = engine.vms()[0]!;
    killedAtEnd(pid!);
    rmSync(runtime(), { recursive: true });
    first.kill('SIGUSR2');
    await first;
    startManager();
    expect((await attached()).vms()).toMatchObject([{ name: 'web', state: 'running', pid }]);
  });
});

test('what cannot be created again is logged once, and again after a success', async () => {
  const notes: string[] = [];
  let problem: string | null = 'the folder is read-only';
  let isReachable = false;
  const engine = {
    note: vi.fn(
      (_level: string, text: string, vm: string | null = null) => void notes.push(`${vm}: ${text}`),
    ),
    renewPlaces: async (failed: (vm: string, reason: string) => void) => {
      if (problem !== null) failed('web', problem);
    },
  };
  const server = { reachable: false, stopListening: () => {} };
  Object.defineProperty(server, 'reachable', { get: () => isReachable });
  const reachable = new KeptReachable({
    ...{ server, engine, socket: '/run/x.sock', ownership: { renew: () => {} } },
    listen: async () => {
      if (problem !== null) throw new Error(problem);
    },
  });
  for (let checks = 0; checks < 3; checks++) await reachable.check();
  const both = [
    'null: the socket /run/x.sock or the locks of this manager were removed, and cannot be created again: the folder is read-only',
    'web: its files in the runtime folder were removed, so no later manager will find it: the folder is read-only; shut it down and start it again',
  ];
  expect(notes).toEqual(both);
  problem = null;
  await reachable.check();
  expect(notes.splice(0)).toEqual([
    ...both,
    'null: the socket /run/x.sock was removed; it has been created again',
  ]);
  isReachable = true;
  await reachable.check();
  expect(notes).toEqual([]);
  [problem, isReachable] = ['the folder is read-only', false];
  await reachable.check();
  expect(notes).toEqual(both);
});
