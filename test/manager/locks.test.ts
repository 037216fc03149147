import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { beforeEach, describe, expect, test } from 'vitest';
import { LockHeldError, lockFile } from '../../src/manager/file-lock.ts';
import { lockOwnership, lockVm } from '../../src/manager/vm-lock.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

beforeEach(() => {
  process.env.VRING_RUNTIME_DIR = join(temporaryFolder(), 'run');
  process.env.VRING_STATE_DIR = join(temporaryFolder(), 'state');
});

/** A process that takes the lock of a VM, reports it, and keeps running. */
function holder(name: string) {
  const script = `import { lockVm } from './src/manager/vm-lock.ts'; lockVm('${name}'); console.log('has it'); setInterval(() => {}, 1000);`;
  const child = execa(process.execPath, ['--input-type=module', '-e', script], {
    reject: false,
    timeout: 20_000,
  });
  const ready = new Promise<void>(resolve => child.stdout.once('data', () => resolve()));
  return { child, ready };
}

describe('the lock of a VM', () => {
  test('has one holder at a time, and names it', () => {
    const lock = lockVm('web');
    expect(() => lockVm('web')).toThrow(
      new RegExp(`^the VM web is run by process ${process.pid} of \\w+: vring.*; stop it there first`),
    );
    lockVm('db').release();
    lock.release();
    lockVm('web').release();
  });

  test('keeps other processes out, and is released when its holder is killed', async () => {
    const { child, ready } = holder('web');
    await ready;
    expect(() => lockVm('web')).toThrow(`by process ${child.pid} of`);
    child.kill('SIGKILL');
    await child;
    const lock = lockVm('web');
    const path = join(process.env.VRING_RUNTIME_DIR!, 'vms/web.lock');
    expect(readFileSync(path, 'utf8')).toContain(`process ${process.pid} of`);
    lock.release();
    expect(existsSync(path)).toBe(false);
  });

  test('is not inherited by programs that its holder starts', async () => {
    const lock = lockVm('web');
    const child = execa('sleep', ['20'], { reject: false });
    lock.release();
    lockVm('web').release();
    child.kill();
    await child;
  });

  test.each(['../x', '', '.', 'a/b', 'a\0b'])('rejects the invalid name %j', name => {
    expect(() => lockVm(name)).toThrow('cannot be the name of a VM');
  });
});

test('takes a lock whose file was removed in the meantime', () => {
  const path = join(temporaryFolder(), 'lock');
  for (let round = 0; round < 100; round++) lockFile(path, 'it is had').release();
  const lock = lockFile(path, 'it is had');
  expect(() => lockFile(path, 'it is had')).toThrow(LockHeldError);
  lock.release();
});

test('two managers with the same state folder exclude each other, wherever their sockets are', () => {
  const [one, other, state] = [temporaryFolder(), temporaryFolder(), temporaryFolder()];
  const first = lockOwnership({ runtime: one, state });
  expect(() => lockOwnership({ runtime: one, state: other })).toThrow(
    `the runtime folder ${one} is held by process`,
  );
  expect(() => lockOwnership({ runtime: other, state })).toThrow(`the state folder ${state} is held by`);
  // A manager that was refused holds no lock.
  lockOwnership({ runtime: other, state: temporaryFolder() }).release();
  first.release();
  lockOwnership({ runtime: one, state }).release();
});
