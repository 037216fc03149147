import { join } from 'node:path';
import { execa } from 'execa';
import { describe, expect, test } from 'vitest';
import { builtFile, projectRoot } from '../../src/project-root.ts';
import { noKvm, onKvm } from '../support/kvm.ts';

const GUEST = builtFile('guest.elf');

/** Runs `vring run ARGS` as installed, without a terminal: it has a bundle of its own (scripts/bundle.mjs). */
function run(...args: string[]) {
  return execa(join(projectRoot(), 'bin/vring'), ['run', ...args], { reject: false, stdin: 'ignore' });
}

describe.skipIf(noKvm !== null)(onKvm('the installed vring run'), () => {
  test('has the VM in this process', async () => {
    const { exitCode, stdout } = await run(GUEST, '--append', 'run="info; exit 42"');
    expect(stdout).toContain('result info ');
    expect(exitCode).toBe(42);
  });

  test("takes QEMU's options", async () => {
    const devices = ['-device', 'isa-debug-exit,iobase=0xf4,iosize=1'];
    const { exitCode } = await run('-m', '64', '-kernel', GUEST, '-append', 'run="exit 3"', ...devices);
    expect(exitCode).toBe(7);
  });
});

test('the installed vring run reports usage errors like other commands', async () => {
  const text = await run('--memory', 'lots', GUEST);
  expect([text.exitCode, text.stderr]).toEqual([2, expect.stringContaining('--memory')]);
  const below = await run('--memory', '1', GUEST);
  expect([below.exitCode, below.stderr]).toEqual([2, expect.stringContaining('--memory')]);
});
