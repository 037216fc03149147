import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { SlowManagerError } from '../../../src/engine/remote/manager-link.ts';
import { RemoteEngine, type RemoteEngineOptions } from '../../../src/engine/remote/remote-engine.ts';
import type { Loss } from '../../../src/engine/vm-info.ts';
import { Rig } from '../../support/remote-rig.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { until } from '../../support/until.ts';

describe('a manager', () => {
  /** A process that serves an engine with a running VM `web` and one, `db`, that is off. */
  async function managerProcess(path: string): Promise<ChildProcess> {
    const script = `
      import { rmSync } from 'node:fs';
      import { FakeEngine } from './test/support/fake-engine.ts';
      import { systemClock } from './src/clock.ts';
      import { ControlServer } from './src/engine/remote/server.ts';
      const engine = new FakeEngine(systemClock);
      engine.add('db', { vcpus: [] }, { state: 'off' });
      engine.add('web', { vcpus: [] });
      Object.assign(engine.manager, { pid: process.pid });
      const server = new ControlServer(engine, { note() {}, clients() {}, status() {}, stop() {} });
      rmSync(process.argv[1], { force: true });
      await server.listen(process.argv[1]);
      console.log('listens');`;
    const child = spawn(
      process.execPath,
      ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', script, path],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    onTestFinished(() => void child.kill('SIGKILL'));
    await once(child.stdout!, 'data');
    return child;
  }

  async function attachedTo(options: Partial<RemoteEngineOptions> = {}) {
    const path = join(temporaryFolder(), 'control.sock');
    const manager = await managerProcess(path);
    const engine = await RemoteEngine.attach({ path, terminal: 'me@pts/1', ...options });
    onTestFinished(() => engine.close());
    const losses: (Loss | null)[] = [];
    engine.subscribe(event => {
      if (event.kind === 'link') losses.push(event.loss);
    });
    return { path, manager, engine, losses };
  }

  test('that is killed is reported as dead; its VMs keep running', async () => {
    const { manager, engine, losses } = await attachedTo();
    expect(engine.vms().map(vm => vm.state)).toEqual(['off', 'running']);
    manager.kill('SIGKILL');
    await until(() => losses.some(loss => loss?.kind === 'died'));
    const reason = `the manager (process ${manager.pid}) died; the VMs keep running`;
    expect(losses.at(-1)).toEqual({ kind: 'died', text: reason });
    expect(engine.vms().map(({ name, state, reason }) => [name, state, reason])).toEqual([
      ['db', 'off', null],
      ['web', 'running', null],
    ]);
    await expect(engine.restart('web')).rejects.toThrow(reason);
  });

  test('can be restarted by a client after it died', async () => {
    const starts: ChildProcess[] = [];
    const attaching = attachedTo({
      startManager: async () => {
        starts.push(await managerProcess((await attaching).path));
      },
    });
    const { manager, engine, losses } = await attaching;
    manager.kill('SIGKILL');
    await until(() => losses.some(loss => loss?.kind === 'died'));
    await engine.startManager();
    expect(losses.at(-1)).toBeNull();
    expect(engine.manager.pid).toBe(starts[0]!.pid);
    expect(engine.vms()[1]).toMatchObject({ name: 'web', state: 'running' });
    // It runs: another one is not started.
    await engine.startManager();
    expect(starts).toHaveLength(1);
  });

  test('that does not respond is reported as slow, not dead, until it responds', async () => {
    const { manager, engine, losses } = await attachedTo({ patienceMs: 2000 });
    manager.kill('SIGSTOP');
    await until(() => losses.some(loss => loss?.text.includes('kill -CONT')));
    expect(losses.at(-1)?.kind).toBe('slow');
    expect(losses.at(-1)?.text).toBe(
      `the manager (process ${manager.pid}) was stopped by a signal: kill -CONT ${manager.pid} resumes it. The VMs keep running`,
    );
    expect(engine.vms()[1]).toMatchObject({ state: 'running' });
    manager.kill('SIGCONT');
    await until(() => losses.at(-1) === null);
    await engine.pause('web');
    expect(losses.map(loss => loss?.kind)).not.toContain('died');
  });

  test.each([
    ['soon', 100],
    ['long before patience ends, where it was stopped', 2 ** 30],
  ])(
    'that does not respond to a new client is reported as %s, with the command that resumes it',
    async (_, patienceMs) => {
      const { path, manager } = await attachedTo();
      manager.kill('SIGSTOP');
      const attaching = RemoteEngine.attach({ path, terminal: 'me@pts/2', patienceMs });
      const error = await attaching.catch(error => error);
      expect(error).toBeInstanceOf(SlowManagerError);
      expect(error.pid).toBe(manager.pid);
      expect(error.message).toContain(`kill -CONT ${manager.pid}`);
      manager.kill('SIGCONT');
    },
  );

  test('that has too many clients reports so', async () => {
    const rig = await Rig.start();
    const others = await Promise.all(Array.from({ length: 128 }, () => rig.raw()));
    await expect(rig.attach()).rejects.toThrow('128 terminals are attached already: close one first');
    others[0]!.socket.destroy();
    await until(() => rig.server.clients < 128);
    await rig.attach();
  });

  test('reports its status, and is stopped by clients that may make changes', async () => {
    const rig = await Rig.start();
    const engine = await rig.attach();
    expect(await engine.managerStatus()).toMatchObject({ pid: process.pid, clients: 1, stopping: false });
    const watcher = await rig.attach({ readOnly: true });
    await expect(watcher.stopManager({})).rejects.toThrow('read-only');
    expect(rig.stops).toEqual([]);
    await engine.stopManager({ timeoutMs: 5000, resume: true });
    expect(rig.stops).toEqual([{ timeoutMs: 5000, resume: true }]);
    await expect(engine.stopManager({ timeoutMs: -1 })).rejects.toThrow('timeoutMs');
  });
});
