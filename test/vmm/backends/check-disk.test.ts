import { closeSync, mkdirSync, openSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { DiskOptions } from '../../../src/devices/backends/disk.ts';
import { checkDisk, openDisk } from '../../../src/vmm/backends/open-disk.ts';
import * as libc from '../../../src/vmm/native/libc.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const folder = temporaryFolder();
const options = (path: string, more: Partial<DiskOptions> = {}): DiskOptions => ({
  ...{ path, format: undefined, readonly: false, cache: 'writeback' },
  ...more,
});

function disk(name: string, bytes = 1 << 20): string {
  const path = join(folder, name);
  closeSync(openSync(path, 'w'));
  truncateSync(path, bytes);
  return path;
}

test('a disk passes that another process is using', () => {
  const path = disk('used.img');
  const { fd } = openDisk(options(path));
  try {
    expect(() => openDisk(options(path))).toThrow('in use');
    checkDisk(options(path));
    checkDisk(options(path, { readonly: true }));
  } finally {
    libc.close(fd);
  }
});

test('an invalid disk is rejected like at a start', () => {
  const link = join(folder, 'link.img');
  symlinkSync(join(folder, 'nowhere'), link);
  const qed = join(folder, 'qed.img');
  writeFileSync(qed, Buffer.concat([Buffer.from('QED\0'), Buffer.alloc(1020)]));
  for (const path of [
    join(folder, 'missing'),
    link,
    disk('empty.img', 0),
    disk('odd.img', 511),
    folder,
    '/dev/null',
    qed,
  ]) {
    const reason = messageOf(() => openDisk(options(path)));
    expect(reason).toContain(path);
    expect(messageOf(() => checkDisk(options(path)))).toBe(reason);
  }
});

test('only a folder passes as a folder', () => {
  const files = join(folder, 'files');
  mkdirSync(files);
  checkDisk(options(files, { format: 'fat', readonly: true }));
  const file = disk('file.img');
  expect(() => checkDisk(options(file, { format: 'fat', readonly: true }))).toThrow('is not a folder');
});

function messageOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    return (error as Error).message;
  }
  return 'it passes';
}
