import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { CLI, defineGuest, vringJson, vringProcess } from '../support/cli.ts';
import { noKvm, onKvm } from '../support/kvm.ts';
import {
  attached,
  guest,
  isRunning,
  killedAtEnd,
  NODE,
  startManager,
  withOwnFolders,
} from '../support/manager-process.ts';
import { until } from '../support/until.ts';

withOwnFolders();

/** A manager with `web`, which is defined, and `adhoc`, which is not. @returns their processes by name */
async function managerWithVms(env: Readonly<Record<string, string>> = {}) {
  defineGuest('web');
  const manager = startManager([], env);
  const engine = await attached();
  await engine.restart('web');
  await engine.start(guest('adhoc'));
  const pids = Object.fromEntries(engine.vms().map(vm => [vm.name, vm.pid]));
  return { manager, engine, pids };
}

describe.skipIf(noKvm !== null)(onKvm('the VMs of a manager'), () => {
  test('keep running through restart, in the same processes', async () => {
    const { manager, pids } = await managerWithVms();
    const restarted = await vringJson('manager', 'restart');
    killedAtEnd(restarted.manager.pid);
    expect(restarted).toMatchObject({
      exitCode: 0,
      vms: [
        { name: 'adhoc', state: 'running', kept: true },
        { name: 'web', state: 'running', kept: true },
      ],
    });
    expect((await manager).exitCode).toBe(0);
    const { vms } = await vringJson('manager', 'status');
    expect(vms).toEqual([
      { name: 'adhoc', state: 'running', pid: pids.adhoc },
      { name: 'web', state: 'running', pid: pids.web },
    ]);
  }, 60_000);

  test('that was killed are shown, protected and taken over; none is reported as ended', async () => {
    const { manager, pids } = await managerWithVms();
    manager.kill('SIGKILL');
    await manager;
    const status = await vringJson('manager', 'status');
    expect(status).toMatchObject({ exitCode: 3, state: 'none', interrupted: [] });
    expect(status.vms).toMatchObject([
      { name: 'adhoc', pid: pids.adhoc },
      { name: 'web', pid: pids.web },
    ]);
    expect((await vringJson('vm', 'list')).vms).toMatchObject([
      { name: 'adhoc', state: 'running', pid: pids.adhoc, defined: false },
      { name: 'web', state: 'running', pid: pids.web, defined: true },
    ]);
    expect((await vringProcess('vm', 'delete', '--yes', 'web')).stderr).toBe(
      'vring: web: it is running: stop it first',
    );
    expect((await vringProcess('vm', 'rename', 'web', 'www')).stderr).toContain(
      `is run by process ${pids.web}`,
    );
    // A command that needs a manager starts one.
    expect(await vringProcess('vm', 'pause', 'web')).toMatchObject({ stdout: 'web: paused', exitCode: 0 });
    const taken = await vringJson('manager', 'status');
    killedAtEnd(taken.manager.pid);
    expect(taken.vms).toContainEqual({ name: 'web', state: 'paused', pid: pids.web });
  }, 60_000);

  test('keep running after stop --keep-vms, until stop without it', async () => {
    const { manager, pids } = await managerWithVms();
    const kept = await vringJson('manager', 'stop', '--keep-vms');
    expect(kept.stopped).toMatchObject({ vms: [], killed: [], kept: ['adhoc', 'web'] });
    expect((await manager).stderr).toMatch(/ending: left by /);
    expect(isRunning(pids.web!)).toBe(true);
    const stopped = await vringJson('manager', 'stop');
    expect(stopped.stopped).toMatchObject({ vms: ['adhoc', 'web'], killed: [], kept: [] });
    await until(() => !isRunning(pids.web!) && !isRunning(pids.adhoc!));
  }, 60_000);

  test('keep running when an unresponsive manager is replaced; stop --force kills them with it', async () => {
    const { manager, pids } = await managerWithVms();
    manager.kill('SIGSTOP');
    const restarted = await vringJson('manager', 'restart', '--force');
    killedAtEnd(restarted.manager.pid);
    expect(restarted.vms).toMatchObject([
      { name: 'adhoc', kept: true },
      { name: 'web', kept: true },
    ]);
    process.kill(restarted.manager.pid, 'SIGSTOP');
    const stopped = await vringJson('manager', 'stop', '--force');
    expect(stopped.stopped).toMatchObject({ killed: ['adhoc', 'web'] });
    expect([pids.web, pids.adhoc].some(pid => isRunning(pid!))).toBe(false);
  }, 90_000);

  test('keep running when systemd restarts its service', async () => {
    const { manager, pids } = await managerWithVms();
    // RestartKillSignal= of the unit.
    manager.kill('SIGUSR2');
    const { stderr, exitCode } = await manager;
    expect([exitCode, stderr]).toEqual([0, expect.stringContaining('ending: replaced, by SIGUSR2')]);
    expect([pids.web, pids.adhoc].every(pid => isRunning(pid!))).toBe(true);
    startManager();
    const next = await attached();
    expect(next.vms().map(vm => [vm.name, vm.state, vm.pid])).toEqual([
      ['adhoc', 'running', pids.adhoc],
      ['web', 'running', pids.web],
    ]);
  }, 60_000);

  describe('of a manager that is a systemd unit', () => {
    /** systemctl, as far as it is used: it shows KillMode= and starts the service. */
    async function restartWith(killMode: string) {
      const folder = process.env.VRING_DEFINITIONS_DIR!;
      const [node, ...nodeArgs] = NODE;
      const systemctl = [
        '#!/bin/sh',
        `echo "$@" >> ${folder}/systemctl.args`,
        `[ "$1" = show ] && echo ${killMode} && exit`,
        `${node} ${nodeArgs.join(' ')} ${CLI} serve > ${folder}/service.log 2>&1 &`,
      ];
      writeFileSync(join(folder, 'systemctl'), `${systemctl.join('\n')}\n`, { mode: 0o755 });
      const { manager, engine, pids } = await managerWithVms({
        INVOCATION_ID: '0123',
        NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(FAKE_CGROUP)}`,
      });
      expect((await engine.managerStatus()).unit).toEqual({ name: 'vring.service', user: false });
      const path = process.env.PATH;
      process.env.PATH = `${folder}:${path}`;
      try {
        const result = await vringProcess('manager', 'restart', '--json');
        return { manager, pids, result, calls: readFileSync(join(folder, 'systemctl.args'), 'utf8') };
      } finally {
        process.env.PATH = path;
      }
    }

    test('are taken over by the unit', async () => {
      const { pids, result, calls } = await restartWith('process');
      const { manager, vms } = JSON.parse(result.stdout);
      killedAtEnd(manager.pid);
      expect([result.exitCode, vms]).toMatchObject([0, [{ name: 'adhoc' }, { name: 'web', kept: true }]]);
      expect(isRunning(pids.web!)).toBe(true);
      expect(calls).toBe('show --property=KillMode --value vring.service\nstart vring.service\n');
    }, 60_000);

    test('are not left to a systemd that would kill them', async () => {
      const { manager, pids, result } = await restartWith('mixed');
      expect(result.exitCode).toBe(1);
      expect(result.stderr).toContain('vring.service has KillMode=mixed, so systemd would kill the VMs');
      expect([manager.pid, pids.web].every(pid => isRunning(pid!))).toBe(true);
    }, 60_000);
  });
});

/** A process whose control group is that of the service. */
const FAKE_CGROUP = `
  import fs from 'node:fs';
  import { syncBuiltinESMExports } from 'node:module';
  const read = fs.readFileSync;
  fs.readFileSync = (path, ...rest) => path === '/proc/self/cgroup' ? '0::/system.slice/vring.service\\n' : read(path, ...rest);
  syncBuiltinESMExports();`;
