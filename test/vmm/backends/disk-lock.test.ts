import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { closeSync, openSync, readFileSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openDisk } from '../../../src/vmm/backends/open-disk.ts';
import * as libc from '../../../src/vmm/native/libc.ts';
import { tryLock } from '../../../src/vmm/native/ofd-lock.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const folder = temporaryFolder();
const hasQemu = ['qemu-img', 'qemu-io', 'qemu-system-x86_64'].every(
  program => spawnSync(program, ['--version']).status === 0,
);
let file: string;
let count = 0;
const fds: number[] = [];
const running: ChildProcess[] = [];

beforeEach(() => {
  file = join(folder, `disk${++count}.img`);
  closeSync(openSync(file, 'w'));
  truncateSync(file, 2 ** 20);
});
afterEach(async () => {
  for (const fd of fds.splice(0)) libc.close(fd);
  for (const child of running.splice(0)) {
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null)
      await new Promise(resolve => child.once('exit', resolve));
  }
});

function open(readonly: boolean): void {
  fds.push(openDisk({ path: file, format: 'raw', readonly, cache: 'writeback' }).fd);
}

/** Starts a program that keeps the disk open, and waits for a word that it prints after opening it. */
async function hold(word: string, program: string, ...args: string[]): Promise<number> {
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  running.push(child);
  // QEMU only responds once it has set up its devices.
  if (program.startsWith('qemu-system')) child.stdin!.write('{"execute": "qmp_capabilities"}\n');
  let printed = '';
  await new Promise<void>((resolve, reject) => {
    const onOutput = (chunk: Buffer) => {
      printed += chunk;
      if (printed.includes(word)) resolve();
    };
    child.stdout!.on('data', onOutput);
    child.stderr!.on('data', onOutput);
    child.once('close', () => reject(new Error(`${program} ended: ${printed}`)));
  });
  return child.pid!;
}

const drive = (readonly: boolean) => `file=${file},format=raw,if=virtio,readonly=${readonly ? 'on' : 'off'}`;
const machine = (readonly: boolean) => [
  ...['-M', 'q35', '-accel', 'tcg', '-S', '-display', 'none', '-nodefaults', '-qmp', 'stdio'],
  ...['-drive', drive(readonly)],
];
const qemu = (readonly: boolean) => hold('"return"', 'qemu-system-x86_64', ...machine(readonly));

/** The error of a QEMU that can't open the disk; null if it could, and then ends it. */
async function qemuRefused(readonly: boolean): Promise<string | null> {
  try {
    await qemu(readonly);
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}

describe.skipIf(!hasQemu)('a disk that QEMU has open (needs qemu-system-x86 and qemu-utils)', () => {
  test('for writing cannot be opened', async () => {
    const pid = await qemu(false);
    expect(() => open(false)).toThrow(
      new RegExp(
        `^disk ${file} is in use by "qemu-system-x86_64 .*" \\(process ${pid}\\), which writes it: stop it first, or attach the disk read-only to both$`,
      ),
    );
    expect(() => open(true)).toThrow(/\(process \d+\), which writes it: stop it first$/);
  });

  test('for reading can be opened read-only', async () => {
    const pid = await qemu(true);
    expect(() => open(false)).toThrow(
      new RegExp(`\\(process ${pid}\\), which reads it: stop it first, or attach the disk read-only$`),
    );
    open(true);
  });

  test('in qemu-io is in use, too', async () => {
    await hold('qemu-io>', 'qemu-io', '-f', 'raw', file);
    expect(() => open(false)).toThrow(/is in use by "qemu-io .*which writes it/);
    expect(() => open(true)).toThrow('which writes it');
  });
});

describe.skipIf(!hasQemu)('a disk that we have open (needs qemu-system-x86 and qemu-utils)', () => {
  test('for writing cannot be opened by QEMU', async () => {
    open(false);
    expect(await qemuRefused(false)).toContain('Failed to get "write" lock');
    expect(await qemuRefused(true)).toContain('Failed to get shared "write" lock');
    const image = spawnSync('qemu-img', ['resize', '-f', 'raw', file, '2M'], { encoding: 'utf8' });
    expect(image.stderr).toContain('lock');
    expect(statSync(file).size).toBe(2 ** 20);
    // As in QEMU, reading without a lock is allowed on request.
    execFileSync('qemu-img', ['info', '-U', '-f', 'raw', file]);
  });

  test('for reading can be opened by QEMU read-only', async () => {
    open(true);
    expect(await qemuRefused(true)).toBe(null);
    expect(await qemuRefused(false)).toContain('lock');
    execFileSync('qemu-img', ['info', '-f', 'raw', file]);
  });

  test('is unlocked when its fd is closed', async () => {
    open(false);
    libc.close(fds.pop()!);
    expect(await qemuRefused(false)).toBe(null);
  });
});

/** Another program with a per-process fcntl(2) lock, like libvirt's virtlockd. */
const LOCKER = `
import fcntl, sys
f = open(sys.argv[1], 'r+')
fcntl.lockf(f, fcntl.LOCK_EX if sys.argv[2] == 'write' else fcntl.LOCK_SH, 1, 0)
print('locked', flush=True)
sys.stdin.read()
`;
const hasPython = spawnSync('python3', ['--version']).status === 0;

describe.skipIf(!hasPython)("a lock like virtlockd's (needs python3)", () => {
  test('for writing excludes readers and writers', async () => {
    const pid = await hold('locked', 'python3', '-c', LOCKER, file, 'write');
    expect(() => open(false)).toThrow(`(process ${pid}), which writes it`);
    expect(() => open(true)).toThrow(`(process ${pid}), which writes it`);
  });

  test('for reading excludes writers', async () => {
    await hold('locked', 'python3', '-c', LOCKER, file, 'read');
    open(true);
    expect(() => open(false)).toThrow('which reads it');
  });

  test('cannot be taken while we write', async () => {
    open(false);
    const locker = LOCKER.replaceAll('LOCK_EX', 'LOCK_EX | fcntl.LOCK_NB');
    await expect(hold('locked', 'python3', '-c', locker, file, 'write')).rejects.toThrow('BlockingIOError');
  });
});

test('a lock of the whole file is respected', () => {
  const fd = openSync(file, 'r+');
  try {
    expect(tryLock(fd, 'write')).toBe(true);
    expect(() => open(false)).toThrow('another VM of this manager, which writes it');
    expect(() => open(true)).toThrow('another VM of this manager, which writes it');
  } finally {
    closeSync(fd);
  }
  open(false);
});

test('several readers share it, and each lock is a single byte', () => {
  open(true);
  open(true);
  const ino = statSync(file).ino;
  const locks = readFileSync('/proc/locks', 'utf8').match(new RegExp(`.*:${ino} .*`, 'g'))!;
  const ranges = new Set(locks.map(line => line.split(' ').slice(-2).join('-')));
  expect([...ranges].sort()).toEqual(['0-0', '100-100', '201-201']);
  expect(() => open(false)).toThrow('which reads it');
});
