import { chmodSync, existsSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { makeFolders } from '../../src/files/make-folders.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

test('creates missing folders with their mode, and returns the first one', () => {
  const root = temporaryFolder();
  const path = join(root, 'a/b/c');
  expect(makeFolders(path, 0o700)).toBe(join(root, 'a'));
  expect(['a', 'a/b', 'a/b/c'].map(each => statSync(join(root, each)).mode & 0o777)).toEqual([
    ...[0o700, 0o700, 0o700],
  ]);
  chmodSync(path, 0o750);
  expect(makeFolders(path, 0o700)).toBeUndefined();
  expect(statSync(path).mode & 0o777).toBe(0o750);
  symlinkSync(path, join(root, 'link'));
  expect(makeFolders(join(root, 'link/d'))).toBe(join(root, 'link/d'));
  expect(existsSync(join(path, 'd'))).toBe(true);
});

test("fails where no folder can be created, with the system's error code", () => {
  const root = temporaryFolder();
  writeFileSync(join(root, 'file'), '');
  symlinkSync('nowhere', join(root, 'dangling'));
  const code = (path: string) => {
    try {
      makeFolders(path);
      return null;
    } catch (error) {
      return (error as NodeJS.ErrnoException).code;
    }
  };
  expect(['file', 'file/a/b', 'dangling', 'dangling/a'].map(each => code(join(root, each)))).toEqual([
    ...['EEXIST', 'ENOTDIR', 'EEXIST', 'EEXIST'],
  ]);
  // Where Node's recursive mkdir would try forever.
  expect([code('/proc/x'), code('/proc/x/y')]).toEqual(['ENOENT', 'ENOENT']);
});
