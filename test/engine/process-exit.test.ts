import { execa } from 'execa';
import { describe, expect, test } from 'vitest';
import { noKvm, onKvm } from '../support/kvm.ts';

/** Runs a program in a separate process. */
async function run(program: string) {
  const source = `import { LocalEngine } from './src/engine/local-engine.ts';\n${program}`;
  const args = ['--input-type=module-typescript', '--eval', source];
  const { exitCode, signal, stdout } = await execa(process.execPath, args, {
    reject: false,
    timeout: 50_000,
  });
  return { exitCode, signal, stdout };
}

describe.skipIf(noKvm !== null)(onKvm('a process with a running VM'), () => {
  test.each([
    ['exits on process.exit', 'process.exit(3);', 3],
    ['ends by an uncaught exception', "throw new Error('unexpected');", 1],
  ])('%s', async (_, end, exitCode) => {
    const program = `
      const engine = new LocalEngine();
      await engine.start({ name: 'guest', boot: { kind: 'kernel', path: 'dist/guest.elf' } });
      ${end}`;
    expect(await run(program)).toMatchObject({ exitCode, signal: undefined });
  });
});

describe.skipIf(noKvm !== null)(onKvm('a process whose machine threads still load or build'), () => {
  // Each delay interrupts them at a different point.
  test.each([0, 50, 100, 150, 200, 250, 300, 400])('exits as requested after %i ms', async delay => {
    const program = `
      const engine = new LocalEngine();
      for (const name of ['a', 'b']) engine.start({ name, boot: { kind: 'kernel', path: 'dist/guest.elf' } });
      setTimeout(() => process.exit(3), ${delay});`;
    expect(await run(program)).toMatchObject({ exitCode: 3, signal: undefined });
  });

  test('ends when its engine is closed', async () => {
    const program = `
      for (let round = 0; round < 10; round++) await new LocalEngine().close();
      console.log('closed');`;
    expect(await run(program)).toEqual({ exitCode: 0, signal: undefined, stdout: 'closed' });
  });
});
