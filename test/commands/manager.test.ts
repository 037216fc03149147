import { join } from 'node:path';
import { execa } from 'execa';
import { describe, expect, test } from 'vitest';
import { CLI, defineGuest, vringJson, vringProcess } from '../support/cli.ts';
import { noKvm, onKvm } from '../support/kvm.ts';
import {
  attached,
  guest,
  isRunning,
  killedAtEnd,
  managerLog,
  NODE,
  startManager,
  withOwnFolders,
} from '../support/manager-process.ts';
import { until } from '../support/until.ts';

withOwnFolders();

const vringManager = (...args: string[]) => vringProcess('manager', ...args);
const json = (...args: string[]) => vringJson('manager', ...args);

describe('without a manager', () => {
  test('status exits with 3; stop does nothing', async () => {
    expect(await vringManager()).toMatchObject({ stdout: 'no manager is running', exitCode: 3 });
    expect(await json('status')).toMatchObject({ exitCode: 3, state: 'none', manager: null });
    expect(await vringManager('stop')).toMatchObject({ stdout: 'no manager is running', exitCode: 0 });
  });

  test('restart starts a manager', async () => {
    const { exitCode, manager } = await json('restart');
    killedAtEnd(manager.pid);
    expect(exitCode).toBe(0);
    expect(await json('status')).toMatchObject({ state: 'running', manager: { pid: manager.pid } });
  });
});

describe('a manager', () => {
  test('is shown in detail and stopped', async () => {
    const process_ = startManager(['--metrics', '127.0.0.1:0']);
    await attached();
    const { exitCode, state, manager } = await json('status');
    expect([exitCode, state]).toEqual([0, 'running']);
    expect(manager).toMatchObject({
      pid: process_.pid,
      unit: null,
      socket: join(process.env.VRING_RUNTIME_DIR!, 'control.sock'),
      log: null,
      metrics: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+\/metrics$/),
      stopping: false,
    });
    expect(manager.memoryBytes).toBeGreaterThan(2 ** 24);
    const { stdout } = await vringManager('status');
    expect(stdout).toMatch(new RegExp(`^manager +running, process ${process_.pid}, vring `));
    expect(await vringManager('stop')).toMatchObject({
      stdout: `stopped the manager (process ${process_.pid})`,
      exitCode: 0,
    });
    const { exitCode: ended, stderr } = await process_;
    expect(ended).toBe(0);
    expect(stderr).toMatch(/ending: stopped by \S+@/);
  });

  test('that does not respond is shown as slow; only --force kills it', async () => {
    const process_ = startManager();
    await attached();
    process_.kill('SIGSTOP');
    const [slow, refused] = await Promise.all([vringManager('status'), vringManager('stop')]);
    expect([slow.exitCode, refused.exitCode]).toEqual([1, 1]);
    expect(slow.stdout).toContain(`kill -CONT ${process_.pid} resumes it`);
    expect(refused.stderr).toContain(`kill -CONT ${process_.pid} resumes it`);
    expect(isRunning(process_.pid!)).toBe(true);
    expect(await vringManager('stop', '--force')).toMatchObject({
      stdout: `stopped the manager (process ${process_.pid})`,
      exitCode: 0,
    });
  }, 60_000);

  test.each([
    [['stop', '--timeout', '-1'], /--timeout -1: expected a whole number/],
    [['explode'], /there is no command "manager explode"; expected status, stop, restart/],
  ])('%j is a usage error', async (args, message) => {
    const { exitCode, stderr } = await vringManager(...args);
    expect(exitCode).toBe(2);
    expect(stderr).toMatch(message);
  });
});

describe.skipIf(noKvm !== null)(onKvm('the VMs of a manager'), () => {
  test('that died with it are listed by the next one, and restarted by restart', async () => {
    defineGuest('web');
    defineGuest('db');
    const dead = startManager();
    const engine = await attached();
    await engine.restart('web');
    await engine.start(guest('adhoc'));
    const machines = engine.vms().flatMap(vm => vm.pid ?? []);
    for (const pid of [dead.pid!, ...machines]) process.kill(pid, 'SIGKILL');
    await dead;
    await until(() => !machines.some(isRunning));
    expect(await json('status')).toMatchObject({ state: 'none', interrupted: ['adhoc', 'web'] });
    const [node, ...args] = NODE;
    const list = await execa(node!, [...args, CLI, 'vm', 'list', '--json']);
    expect(JSON.parse(list.stdout).vms).toMatchObject([
      { name: 'db', state: 'off' },
      { name: 'web', state: 'crashed', reason: expect.stringContaining(`(process ${dead.pid}) died`) },
    ]);

    const next = startManager();
    const after = await attached();
    const reason = `it ended unexpectedly: its process and its manager (process ${dead.pid}) died`;
    expect(after.vms().map(vm => [vm.name, vm.state, vm.reason])).toEqual([
      ['adhoc', 'crashed', reason],
      ['db', 'off', null],
      ['web', 'crashed', reason],
    ]);
    expect(after.log().filter(entry => entry.level === 'error')).toMatchObject([
      { vm: 'adhoc', text: reason },
      { vm: 'web', text: reason },
    ]);
    const restarted = await json('restart');
    killedAtEnd(restarted.manager.pid);
    expect(restarted).toMatchObject({
      exitCode: 0,
      vms: [
        { name: 'adhoc', state: 'running' },
        { name: 'web', state: 'running' },
      ],
    });
    expect((await next).stderr).toContain(`error: web: ${reason}`);
    expect(await json('status')).toMatchObject({ interrupted: [], manager: { pid: restarted.manager.pid } });
  }, 60_000);

  test('are shut down by stop and stay off; restart --with-vms starts them again', async () => {
    defineGuest('web');
    startManager();
    const engine = await attached();
    await engine.restart('web');
    await engine.start(guest('adhoc'));
    const first = await json('restart', '--with-vms');
    killedAtEnd(first.manager.pid);
    expect(first).toMatchObject({
      exitCode: 0,
      vms: [
        { name: 'adhoc', state: 'running' },
        { name: 'web', state: 'running' },
      ],
    });
    const log = managerLog();
    expect(log).not.toContain('unexpectedly');
    const stopped = await json('stop');
    expect(stopped.stopped).toMatchObject({ vms: ['adhoc', 'web'], killed: [] });
    const state = await json('status');
    expect(state).toMatchObject({ exitCode: 3, interrupted: [] });
  }, 60_000);

  test('that do not power off are killed after --timeout and named', async () => {
    const manager = startManager(['--shutdown-timeout', '3600']);
    const engine = await attached();
    await engine.start(guest('deaf', 'run="spin 100s"'));
    const { stdout, stderr, exitCode } = await vringManager('stop', '--timeout', '1', '--json');
    expect(exitCode).toBe(0);
    expect(JSON.parse(stdout).stopped).toMatchObject({ vms: ['deaf'], killed: ['deaf'] });
    expect(stderr).toContain('killed, because they did not shut down in time: deaf');
    expect((await manager).exitCode).toBe(0);
  }, 60_000);
});
