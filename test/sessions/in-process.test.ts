import { execa } from 'execa';
import { afterAll, describe, expect, test } from 'vitest';
import { noKvm, onKvm } from '../support/kvm.ts';
import { PtyProgram } from '../support/pty-program.ts';
import { Sandbox, VRING } from '../support/sandbox.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

describe.skipIf(noKvm !== null)(onKvm('vring --in-process'), () => {
  const sandbox = new Sandbox(temporaryFolder());
  sandbox.define('web');
  const open = (...args: string[]) => new PtyProgram([VRING, ...args], { columns: 100, env: sandbox.env });
  const vring = (...args: string[]) =>
    execa(VRING, args, { env: sandbox.env, stdin: 'ignore', reject: false, timeout: 60_000 });

  /** From "Cancel" to "Quit". */
  const quit = (ui: PtyProgram) => ui.type('\t\r');

  afterAll(() => vring('manager', 'stop', '--force'));

  test('runs the VMs itself, locks them, and ends them on exit', async () => {
    {
      await using ui = open('--in-process');
      await ui.shows('web');
      ui.type('S');
      await ui.shows(/web .*running/);
      const other = await vring('vm', 'start', 'web');
      expect(other.exitCode).toBe(1);
      expect(other.stderr).toMatch(
        /^vring: the VMs are run by process \d+ of .*vring --in-process, which serves no/,
      );
      await using second = open('--in-process');
      await second.shows('run vring without --in-process, or end that process first');
      await second.ended();
      ui.type('q');
      await ui.shows('1 VM is running in this process and will be killed.');
      quit(ui);
      await ui.ended();
    }
    expect((await vring('manager', 'status')).stdout).toBe('no manager is running');
  }, 60_000);

  test('does not run with a manager, or with VMs that a manager has left running', async () => {
    expect((await vring('vm', 'start', 'web')).exitCode).toBe(0);
    await using beside = open('--in-process');
    await beside.shows('run vring without --in-process, or end that process first');
    await beside.ended();
    await vring('manager', 'stop', '--keep-vms');
    await using left = open('--in-process');
    await left.shows(/web run already, in processes of their own/);
    await left.ended();
    expect((await vring('manager', 'stop')).stdout).toContain('and its VM web');
  }, 60_000);

  test('shows only the demo VM', async () => {
    await using ui = open('demo', '--in-process');
    await ui.shows(/demo running/);
    ui.type('q');
    await ui.shows('will be killed');
    quit(ui);
    await ui.ended();
    expect((await vring('manager', 'status')).stdout).toBe('no manager is running');
  }, 60_000);
});
