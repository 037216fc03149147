import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { hostLock } from '../../src/manager/host-lock.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

test.each<[string, (path: string) => void, string]>([
  ['a directory', path => mkdirSync(path), 'it is a directory: remove it'],
  ['a dangling link', path => symlinkSync('nowhere', path), 'it is a symbolic link: remove it'],
  ['a FIFO', path => execFileSync('mkfifo', [path]), 'it is not a regular file: remove it'],
])('a lock file that is %s is an error that names it', async (_, make, reason) => {
  const folder = temporaryFolder();
  make(join(folder, 'host.lock'));
  await expect(hostLock(folder)(async () => {})).rejects.toThrow(
    `cannot open the lock file ${join(folder, 'host.lock')}: ${reason}`,
  );
});
