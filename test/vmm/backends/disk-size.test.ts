import { execFileSync } from 'node:child_process';
import { statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { changeDiskSize, type DiskSize } from '../../../src/vmm/backends/disk-size.ts';
import { openDisk } from '../../../src/vmm/backends/open-disk.ts';
import * as libc from '../../../src/vmm/native/libc.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const KiB = 1024;

let path: string;
/** What was announced, and the size that the file had then. */
let announced: (DiskSize & { readonly found: number })[];

beforeEach(() => {
  path = join(temporaryFolder(), 'disk.img');
  writeFileSync(path, Buffer.alloc(64 * KiB));
  announced = [];
});

const announce = async (size: DiskSize) => {
  announced.push({ ...size, found: statSync(path).size });
};

test('a file grows before that is announced, and shrinks afterward', async () => {
  expect(await changeDiskSize(path, { bytes: 128 * KiB, shrink: false }, announce)).toBe(128 * KiB);
  expect(await changeDiskSize(path, { bytes: 32 * KiB, shrink: true }, announce)).toBe(32 * KiB);
  expect(announced).toMatchObject([
    { bytes: 64 * KiB, found: 64 * KiB },
    { bytes: 128 * KiB, found: 128 * KiB },
    { bytes: 32 * KiB, found: 128 * KiB },
  ]);
  expect(statSync(path).size).toBe(32 * KiB);
});

test.each([32, 128])('a file whose user rejects %i KiB keeps its size', async kib => {
  const refused = changeDiskSize(path, { bytes: kib * KiB, shrink: true }, async () => {
    throw new Error('no');
  });
  await expect(refused).rejects.toThrow('no');
  expect(statSync(path).size).toBe(64 * KiB);
});

test('without a size, the size of the file is announced, even if smaller', async () => {
  truncateSync(path, 16 * KiB);
  expect(await changeDiskSize(path, { bytes: null, shrink: false }, announce)).toBe(16 * KiB);
  expect(announced).toMatchObject([{ bytes: 16 * KiB }]);
});

test('the file is identified as when its user opened it, and not by its name', async () => {
  const disk = openDisk({ path, format: 'raw', readonly: true, cache: 'writeback' });
  libc.close(disk.fd);
  await changeDiskSize(path, { bytes: null, shrink: false }, announce);
  const other = join(temporaryFolder(), 'disk.img');
  writeFileSync(other, Buffer.alloc(64 * KiB));
  await changeDiskSize(other, { bytes: null, shrink: false }, announce);
  expect(announced[0]!.file).toBe(disk.file);
  expect(announced[1]!.file).not.toBe(disk.file);
});

test.each<[string, () => void, { bytes: number | null; shrink: boolean }, RegExp]>([
  [
    'less than it has',
    () => {},
    { bytes: 32 * KiB, shrink: false },
    /would lose what is beyond 32K; .* use vring vm resize --shrink/,
  ],
  ['half a sector', () => {}, { bytes: 64 * KiB + 100, shrink: false }, /not a multiple of 512/],
  ['an empty file', () => truncateSync(path, 0), { bytes: null, shrink: false }, /is empty: give it a size/],
  [
    'no file',
    () => {
      path += '.gone';
    },
    { bytes: null, shrink: false },
    /cannot be opened: ENOENT/,
  ],
  [
    'a directory',
    () => {
      path = temporaryFolder();
    },
    { bytes: null, shrink: false },
    /is no longer a file/,
  ],
  [
    'a pipe',
    () => {
      path = join(temporaryFolder(), 'pipe');
      execFileSync('mkfifo', [path]);
    },
    { bytes: null, shrink: false },
    /is no longer a file/,
  ],
  [
    'a size that the file system does not have',
    () => {},
    { bytes: 2 ** 52, shrink: false },
    /cannot be resized to 4096T: EFBIG/,
  ],
])('rejects %s', async (_what, prepare, change, reason) => {
  prepare();
  await expect(changeDiskSize(path, change, announce)).rejects.toThrow(reason);
  // Nothing but the size that it has.
  expect(announced.filter(({ bytes, found }) => bytes !== found)).toEqual([]);
});

test('a block device keeps its size', async context => {
  let device: string;
  try {
    device = execFileSync('losetup', ['--find', '--show', path], { stdio: 'pipe' }).toString().trim();
  } catch {
    context.skip('no loop devices here');
  }
  onTestFinished(() => void execFileSync('losetup', ['--detach', device]));
  const resized = changeDiskSize(device!, { bytes: 128 * KiB, shrink: false }, announce);
  await expect(resized).rejects.toThrow(
    `is a block device: resize it with its own tools (\`lvextend -L 128K ${device!}\`)`,
  );
  truncateSync(path, 128 * KiB);
  execFileSync('losetup', ['--set-capacity', device!]);
  expect(await changeDiskSize(device!, { bytes: null, shrink: false }, announce)).toBe(128 * KiB);
  const disk = openDisk({ path: device!, format: 'raw', readonly: true, cache: 'writeback' });
  libc.close(disk.fd);
  expect(announced).toMatchObject([{ bytes: 128 * KiB, file: disk.file }]);
});
