import { spawn } from 'node:child_process';
import { execa } from 'execa';
import { describe, expect, test } from 'vitest';
import { builtFile } from '../../src/project-root.ts';
import { noKvm, onKvm } from '../support/kvm.ts';
import { PtyProgram } from '../support/pty-program.ts';
import { Sandbox, VRING } from '../support/sandbox.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const NODE = process.execPath;
const RUN = ['src/cli.ts', 'run', 'dist/guest.elf'];
const TIMEOUT = 20_000;

describe.skipIf(noKvm !== null)(onKvm('the console of vring run'), () => {
  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const)('ends the VM on %s, with the matching exit status', async (signal, exitCode) => {
    const run = execa(NODE, RUN, { reject: false, stdin: 'ignore', timeout: TIMEOUT });
    for await (const line of run.iterable()) if (line.includes('virtio-rng')) run.kill(signal);
    const ended = await run;
    expect(ended.stderr).toContain('killed guest.elf');
    expect(ended.exitCode).toBe(exitCode);
  });

  test('sends a slow reader all guest output', async () => {
    // More than a pipe holds, all of it printed before anything is read.
    const input = `${'help\r'.repeat(90)}halt\r`;
    const command = `${[NODE, ...RUN].join(' ')} | { sleep 9; cat; }`;
    const { stdout } = await execa('sh', ['-c', command], { input, timeout: TIMEOUT });
    expect(stdout.length).toBeGreaterThan(2 ** 16);
    expect(stdout).toMatch(/> halt\s*$/);
  });

  /** Runs vring on a terminal of its own, which shows `output`, and types `keys` when `prompt` is there. */
  async function onTerminal(prompt: string, keys: string) {
    const command = `${[NODE, ...RUN, '--foreground'].join(' ')}; echo "status $?"; stty -a`;
    const run = spawn('script', ['-qec', command, '/dev/null'], { timeout: TIMEOUT });
    let output = '';
    for await (const bytes of run.stdout) {
      const before = output.includes(prompt);
      output += bytes;
      if (!before && output.includes(prompt)) run.stdin.write(keys);
    }
    return output;
  }

  test('Ctrl-] quits and restores the terminal', async () => {
    const output = await onTerminal('virtio-rng', 'info\r\x03\x1d');
    expect(output).toContain('Ctrl-] quits and kills it');
    expect(output).toContain('killed guest.elf');
    expect(output).toContain('status 0');
    expect(output).toMatch(/ icanon .* echo /s);
  });
});

describe.skipIf(noKvm !== null)(onKvm('vring run on a terminal'), () => {
  const sandbox = new Sandbox(temporaryFolder());
  const started = (...args: string[]) => new PtyProgram([VRING, 'run', ...args], sandbox);
  const run = (...args: string[]) => started(builtFile('guest.elf'), ...args);
  const state = async () => JSON.parse(await sandbox.vring('vm', 'list', '--json')).vms[0]?.state;

  test('leaves the VM running after Ctrl-] or a lost connection', async () => {
    await using first = run('--name', 'mine');
    await first.shows(/^>$/m);
    first.type('\x1d');
    await first.shows('mine keeps running');
    await first.ended();
    expect(await state()).toBe('running');

    await using second = new PtyProgram([VRING, 'vm', 'console', 'mine'], sandbox);
    await second.shows(/^>$/m);
    await second.hangUp();
    expect(await state()).toBe('running');

    await using third = new PtyProgram([VRING, 'vm', 'console', 'mine'], sandbox);
    await third.shows(/^>$/m);
    third.type('halt\r');
    await third.shows('the guest powered off');
    await third.ended();
    expect(await state()).toBe('off');
  });

  test.each([
    ['-vga', 'std', /screen has a screen, too: vring vm screen screen shows it.*^>$/ms],
    ['-vga', 'none', /^>$/m],
  ])('reports where the screen of the VM is, if it has one: %s %s', async (option, value, shown) => {
    await using ui = started('--name', 'screen', '-kernel', builtFile('guest.elf'), option, value);
    await ui.shows(shown);
    expect(ui.screen.includes('has a screen')).toBe(value === 'std');
    ui.type('halt\r');
    await ui.ended();
  });

  test('ends with the guest and removes the VM from the list', async () => {
    await using ui = run('--name', 'short', '--append', 'run="exit 5"');
    await ui.ended();
    expect(await sandbox.vring('vm', 'list', '--json')).not.toContain('short');
  });
});
