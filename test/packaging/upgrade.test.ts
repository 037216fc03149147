import {
  cpSync,
  mkdirSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { projectRoot } from '../../src/project-root.ts';
import { noKvm, onKvm } from '../support/kvm.ts';
import { Sandbox } from '../support/sandbox.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const MARK = 'this is the new version';

describe.skipIf(noKvm !== null)(onKvm('an upgrade under a manager with a VM'), () => {
  let folder: string;
  let installed: string;
  let sandbox: Sandbox;

  /** The vring that is installed, before or after the upgrade. */
  const vring = (...args: string[]) =>
    execa(join(installed, 'bin/vring'), args, {
      env: sandbox.env,
      stdin: 'ignore',
      timeout: 60_000,
      reject: false,
    });

  const states = async () => {
    const { vms } = JSON.parse(await sandbox.vring('vm', 'list', '--json'));
    return Object.fromEntries(vms.map((vm: { name: string; state: string }) => [vm.name, vm.state]));
  };

  beforeEach(async () => {
    folder = temporaryFolder();
    installed = join(folder, 'lib/vring');
    sandbox = new Sandbox(folder);
    mkdirSync(join(installed, 'bin'), { recursive: true });
    cpSync(join(projectRoot(), 'bin/vring'), join(installed, 'bin/vring'));
    symlinkSync(realpathSync(process.execPath), join(installed, 'bin/node'));
    cpSync(join(projectRoot(), 'dist'), join(installed, 'dist'), { recursive: true });
    for (const name of ['before', 'after']) sandbox.define(name);
    const { stderr } = await vring('vm', 'start', 'before');
    expect(stderr).not.toMatch(/error/);
    expect(await states()).toEqual({ before: 'running', after: 'off' });
  });

  afterEach(async () => {
    process.kill(await sandbox.managerPid(), 'SIGKILL');
  });

  /** Every file is another one, or gone. */
  function upgrade(): void {
    for (const name of readdirSync(join(installed, 'dist/chunks')))
      rmSync(join(installed, 'dist/chunks', name));
    for (const name of [
      'cli.js',
      'serve.cjs',
      'ui.cjs',
      'ui-program.cjs',
      'machine-thread.cjs',
      'machine-thread-program.cjs',
      'machine-process.cjs',
      'machine-parts.js',
      'host-thread.js',
      'libvring_native.so',
      'koffi.node',
    ]) {
      const file = join(installed, 'dist', name);
      writeFileSync(`${file}.new`, `throw new Error('${MARK}')`);
      renameSync(`${file}.new`, file);
    }
  }

  test.each([
    ['replaces every file, as dpkg and rpm do', upgrade],
    ['moves the folder away and deletes it, as npm does', () => rmSync(installed, { recursive: true })],
  ])('that %s leaves the VM running, and the next one starts', async (_, replace) => {
    replace();
    // What is installed now is not what runs.
    const { failed } = await vring('version');
    expect(failed).toBe(true);

    // The second start takes a thread that was not warm before the upgrade.
    await sandbox.vring('vm', 'start', 'after');
    expect(await states()).toEqual({ before: 'running', after: 'running' });
    await sandbox.vring('vm', 'kill', 'before', 'after');
    await sandbox.vring('vm', 'start', 'before');
    expect(await states()).toEqual({ before: 'running', after: 'off' });
    expect(await sandbox.vring('metrics')).toContain('vring_');
  });
});
