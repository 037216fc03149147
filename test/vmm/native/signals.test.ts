import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';

const MODULE = join(import.meta.dirname, '../../../src/vmm/native/signals.ts');

/** A process that prints a line for each SIGTERM that JavaScript handles. */
async function started(then: string): Promise<ChildProcess & { said: () => string }> {
  const code = `import { writeSync } from 'node:fs';
    import { insistOnSignals } from '${MODULE}';
    process.on('SIGTERM', () => console.log('handled'));
    insistOnSignals();
    setTimeout(() => { writeSync(1, 'ready\\n'); ${then} }, 0);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  let said = '';
  child.stdout!.on('data', chunk => {
    said += chunk;
  });
  while (!said.includes('ready')) await once(child.stdout!, 'data');
  return Object.assign(child, { said: () => said });
}

test('a repeated signal ends a process whose thread is busy, a second after the first', async () => {
  const child = await started('for (;;);');
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  await sleep(200);
  child.kill('SIGTERM');
  await sleep(200);
  expect(child.exitCode ?? child.signalCode).toBeNull();
  await sleep(1000);
  child.kill('SIGTERM');
  expect(await exited).toEqual([null, 'SIGTERM']);
  expect(child.said()).toBe('ready\n');
});

test('a process that is not busy handles the first signal', async () => {
  const child = await started('setInterval(() => {}, 1000);');
  child.kill('SIGTERM');
  while (!child.said().includes('handled')) await once(child.stdout!, 'data');
  expect(child.said()).toBe('ready\nhandled\n');
});
