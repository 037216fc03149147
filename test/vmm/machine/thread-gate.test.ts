import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { projectRoot } from '../../../src/project-root.ts';
import { ThreadGate } from '../../../src/vmm/machine/thread-gate.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

/** A thread that keeps its gate closed until resumed, then reports whether it was asked to end. */
const source = `
  import { writeSync } from 'node:fs';
  import { parentPort, workerData } from 'node:worker_threads';
  import { ThreadGate } from '${pathToFileURL(join(projectRoot(), 'src/vmm/machine/thread-gate.ts'))}';
  const gate = new ThreadGate(workerData.words);
  if (workerData.alone) {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
    writeSync(1, 'finished');
    gate.open();
  }
  parentPort.on('message', message => {
    parentPort.postMessage(message === 'go on' ? gate.open().endRequested : 'still closed');
    if (message === 'go on') parentPort.close();
  });
  parentPort.postMessage('closed');`;
const thread = join(temporaryFolder(), 'thread.mjs');
writeFileSync(thread, source);

function message(worker: Worker): Promise<unknown> {
  return new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
}

test('termination waits until the thread opens its gate, where it is asked to end', async () => {
  const gate = new ThreadGate();
  const worker = new Worker(thread, { workerData: { words: gate.words } });
  await message(worker);
  let opened = false;
  gate.requestEnd();
  const waiting = gate.opened(60_000).then(() => {
    opened = true;
  });
  worker.postMessage('ask');
  expect(await message(worker)).toBe('still closed');
  expect(opened).toBe(false);
  worker.postMessage('go on');
  expect(await message(worker)).toBe(true);
  await waiting;
  await worker.terminate();
});

test('waiting has a timeout, and does not wait for an open gate', async () => {
  const gate = new ThreadGate();
  await gate.opened(10);
  gate.awaitOpened(10);
  expect(gate.open().endRequested).toBe(false);
  await gate.opened(60_000);
  gate.awaitOpened(60_000);
  gate.close();
  await gate.opened(10);
});

test('a machine is taken by its thread, or revoked before that', () => {
  const taken = new ThreadGate();
  expect(taken.take()).toBe(true);
  expect(taken.revoke()).toBe(false);
  const revoked = new ThreadGate();
  expect([revoked.revoke(), revoked.revoke()]).toEqual([true, true]);
  expect(new ThreadGate(revoked.words).take()).toBe(false);
});

test('an exiting process lets its threads finish uninterruptible code', async () => {
  const program = `
    import { Worker } from 'node:worker_threads';
    import { ThreadGate } from './src/vmm/machine/thread-gate.ts';
    const gate = new ThreadGate();
    new Worker(${JSON.stringify(thread)}, { execArgv: [], workerData: { words: gate.words, alone: true } });
    process.on('exit', () => {
      gate.requestEnd();
      gate.awaitOpened(20_000);
    });
    process.exit(3);`;
  const args = ['--input-type=module-typescript', '--eval', program];
  const { stdout, exitCode } = await execa(process.execPath, args, { reject: false });
  expect([exitCode, stdout]).toEqual([3, 'finished']);
});

test('a thread may be terminated while it makes views of memory', async () => {
  const path = join(temporaryFolder(), 'views.mjs');
  const from = (file: string) => `'${pathToFileURL(join(projectRoot(), file))}'`;
  writeFileSync(
    path,
    `import { parentPort, workerData } from 'node:worker_threads';
     import { ThreadGate } from ${from('src/vmm/machine/thread-gate.ts')};
     import { MAP_ANONYMOUS, MAP_PRIVATE, mmap, PROT_READ, setViewGuard, viewOf } from ${from('src/vmm/native/libc.ts')};
     const gate = new ThreadGate(workerData);
     setViewGuard(make => gate.runClosed(make));
     const address = mmap(4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1);
     gate.open();
     parentPort.postMessage('up');
     for (;;) viewOf(address, 4096);`,
  );
  const program = `
    import { once } from 'node:events';
    import { Worker } from 'node:worker_threads';
    import { ThreadGate } from './src/vmm/machine/thread-gate.ts';
    for (let round = 0; round < 10; round++) {
      const gate = new ThreadGate();
      const worker = new Worker(${JSON.stringify(path)}, { execArgv: [], workerData: gate.words });
      await once(worker, 'message');
      gate.requestEnd();
      await gate.opened(20_000);
      await worker.terminate();
    }
    console.log('survived');`;
  const args = ['--input-type=module-typescript', '--eval', program];
  const { stdout, signal } = await execa(process.execPath, args, { reject: false });
  expect([stdout, signal]).toEqual(['survived', undefined]);
});

test('code that runs with the gate closed opens it only if it closed it', () => {
  const gate = new ThreadGate();
  const isOpen = () => gate.words[0] === 1;
  expect(gate.runClosed(isOpen)).toBe(false);
  expect(isOpen()).toBe(false);
  gate.open();
  expect(gate.runClosed(isOpen)).toBe(false);
  expect(isOpen()).toBe(true);
});
