import { execa } from 'execa';
import { describe, expect, test } from 'vitest';
import { noKvm, onKvm } from '../support/kvm.ts';

/** Starts a guest in a process of its own, then runs `end`. */
const program = (end: string) => `
  import { LocalEngine } from './src/engine/local-engine.ts';
  const engine = new LocalEngine();
  await engine.start({ name: 'guest', kernel: { path: 'dist/guest.elf' } });
  ${end}`;

describe.skipIf(noKvm !== null)(onKvm('a process with a running VM'), () => {
  test.each([
    ['exits when told to', 'process.exit(3);', 3],
    ['ends by an exception that nobody catches', "throw new Error('unexpected');", 1],
  ])('%s', async (_, end, exitCode) => {
    const args = ['--input-type=module-typescript', '--eval', program(end)];
    const run = await execa(process.execPath, args, { reject: false, timeout: 15_000 });
    expect({ exitCode: run.exitCode, timedOut: run.timedOut }).toEqual({ exitCode, timedOut: false });
  });
});
