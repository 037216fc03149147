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

describe.skipIf(noKvm !== null)(onKvm('a process whose machine threads still load or build'), () => {
  // Each time somewhere else on their way.
  test.each([0, 50, 100, 150, 200, 250, 300, 400])('exits after %i ms as it was told to', async delay => {
    const program = `
      import { LocalEngine } from './src/engine/local-engine.ts';
      const engine = new LocalEngine();
      for (const name of ['a', 'b']) engine.start({ name, kernel: { path: 'dist/guest.elf' } });
      setTimeout(() => process.exit(3), ${delay});`;
    const args = ['--input-type=module-typescript', '--eval', program];
    const run = await execa(process.execPath, args, { reject: false, timeout: 15_000 });
    expect({ exitCode: run.exitCode, signal: run.signal }).toEqual({ exitCode: 3, signal: undefined });
  });

  test('ends when its engine is closed', async () => {
    const program = `
      import { LocalEngine } from './src/engine/local-engine.ts';
      for (let round = 0; round < 10; round++) await new LocalEngine().close();
      console.log('closed');`;
    const args = ['--input-type=module-typescript', '--eval', program];
    const run = await execa(process.execPath, args, { reject: false, timeout: 15_000 });
    expect([run.exitCode, run.stdout]).toEqual([0, 'closed']);
  });
});
