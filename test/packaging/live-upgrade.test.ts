import {
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { describe, expect, test } from 'vitest';
import { projectRoot, version } from '../../src/project-root.ts';
import { noKvm, onKvm } from '../support/kvm.ts';
import { isRunning } from '../support/manager-process.ts';
import { Sandbox } from '../support/sandbox.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { until } from '../support/until.ts';

const NEW = version();
/** As long as the other one, since it is also in the native library. */
const OLD = NEW.replace(/\d/g, '0');

/** Installs this build, as the version that it is, or as an older one. */
function install(folder: string, as: string): void {
  mkdirSync(join(folder, 'bin'), { recursive: true });
  cpSync(join(projectRoot(), 'bin/vring'), join(folder, 'bin/vring'));
  symlinkSync(realpathSync(process.execPath), join(folder, 'bin/node'));
  cpSync(join(projectRoot(), 'dist'), join(folder, 'dist'), { recursive: true });
  if (as === NEW) return;
  for (const name of readdirSync(join(folder, 'dist'), { recursive: true, encoding: 'utf8' })) {
    if (!/\.(c?js|so)$/.test(name)) continue;
    const path = join(folder, 'dist', name);
    const text = readFileSync(path, 'latin1');
    const changed = text.replaceAll(name.endsWith('.so') ? `${NEW}\0` : `"${NEW}"`, found =>
      found.replace(NEW, as),
    );
    if (changed !== text) writeFileSync(path, changed, 'latin1');
  }
}

describe.skipIf(noKvm !== null)(onKvm('an upgrade of vring'), () => {
  test('reaches the VMs while they run', { timeout: 120_000 }, async () => {
    const folder = temporaryFolder();
    const installed = join(folder, 'vring');
    const sandbox = new Sandbox(folder);
    install(installed, OLD);
    install(join(folder, 'next'), NEW);
    sandbox.define('web', 'quiet run="info; demo"');
    sandbox.define('db', 'quiet run="info; demo"');
    const vring = async (...args: string[]) => {
      const { stdout, stderr, exitCode } = await execa(join(installed, 'bin/vring'), args, {
        env: sandbox.env,
        stdin: 'ignore',
        timeout: 60_000,
        reject: false,
      });
      return { stdout, stderr, exitCode };
    };
    const vms = async () => {
      const { stdout } = await vring('vm', 'list', '--json');
      return new Map<string, { pid: number; version: string; state: string; startedAt: number }>(
        JSON.parse(stdout).vms.map((vm: { name: string }) => [vm.name, vm]),
      );
    };

    await vring('vm', 'start', '--all');
    const before = await vms();
    expect([...before.values()].map(({ version }) => version)).toEqual([OLD, OLD]);
    const old = JSON.parse((await vring('version', '--json')).stdout);
    expect([old.vring, old.manager.version, old.vms]).toEqual([OLD, OLD, []]);

    renameSync(installed, join(folder, 'before'));
    renameSync(join(folder, 'next'), installed);
    const { stdout: facts } = await vring('version');
    expect(facts).toContain(`vring  ${NEW}`);
    expect(facts).toContain(`db runs vring ${OLD}`);
    expect(facts).toContain(
      'vring vm upgrade --all hands them to this version while they run, after vring manager restart',
    );
    // The manager of the old version can only start processes of the old version.
    const early = await vring('vm', 'upgrade', '--all');
    expect(early.exitCode).toBe(1);
    expect(early.stderr).toContain(
      `is vring ${OLD}, and this is ${NEW}: replace it first with vring manager restart`,
    );

    const restarted = await vring('manager', 'restart');
    expect(restarted.stdout).toContain('web kept running');
    expect(restarted.stdout).toContain(
      `of another version: db (${OLD}), web (${OLD}); vring vm upgrade --all`,
    );
    expect((await vring('vm', 'list')).stdout).toContain(`runs vring ${OLD}: vring vm upgrade web`);
    expect((await vring('vm', 'show', 'web')).stdout).toContain(
      `vring ${OLD}: vring vm upgrade web hands it to ${NEW}`,
    );

    const upgraded = await vring('vm', 'upgrade', 'web');
    expect(upgraded.stdout).toMatch(
      new RegExp(`^web: upgraded from vring ${OLD} to ${NEW}; its guest stood still for \\d+ ms$`),
    );
    expect((await vring('vm', 'upgrade', 'web')).stdout).toBe(`web: already runs vring ${NEW}`);
    expect((await vring('vm', 'upgrade', '--all')).stdout).toMatch(/^db: upgraded from/);
    expect(await vring('vm', 'upgrade', '--all')).toMatchObject({
      exitCode: 0,
      stdout: `all running VMs have vring ${NEW}`,
      stderr: '',
    });
    const after = await vms();
    for (const [name, { pid, startedAt }] of before) {
      expect(after.get(name)).toMatchObject({ version: NEW, state: 'running', startedAt });
      await until(() => !isRunning(pid));
    }
    expect(JSON.parse((await vring('version', '--json')).stdout).vms).toEqual([]);
    expect((await vring('vm', 'list')).stdout).not.toContain('runs vring');
    await vring('vm', 'kill', '--all');
    await vring('manager', 'stop');
  });
});
