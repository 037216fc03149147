import { execa } from 'execa';
import { expect, test } from 'vitest';
import { requireOpenFiles, residentBytes } from '../../src/manager/open-files.ts';
import { CLI } from '../support/cli.ts';
import { NODE, withOwnFolders } from '../support/manager-process.ts';

withOwnFolders();

test('a manager that could open too few files does not start', async () => {
  expect(() => requireOpenFiles(63n)).toThrow(
    'the limit on open files is 63, and a manager needs at least 64',
  );
  requireOpenFiles(64n);
  const script = 'ulimit -n 40; exec "$0" "$@"';
  const { exitCode, stderr } = await execa('bash', ['-c', script, ...NODE, CLI, 'serve'], { reject: false });
  expect(exitCode).toBe(1);
  expect(stderr).toContain('the limit on open files is 40');
});

test('a status is reported while too many files are open', () => {
  const known = residentBytes();
  expect(known).toBeGreaterThan(1 << 20);
  expect(
    residentBytes(() => {
      throw new Error('EMFILE: too many open files, uv_resident_set_memory');
    }),
  ).toBe(known);
});
