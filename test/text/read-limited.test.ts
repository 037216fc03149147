import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { closeSync, openSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readLimited } from '../../src/text/read-limited.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const folder = temporaryFolder();

test('reads a text within the limit', () => {
  const file = join(folder, 'text');
  writeFileSync(file, 'é'.repeat(512));
  expect(readLimited(file, file, 1024)).toBe('é'.repeat(512));
  writeFileSync(file, 'é'.repeat(513));
  expect(() => readLimited(file, 'the text', 1024)).toThrow('the text is longer than 1K, or has no end');
});

test('does not read endless or huge files to their end', () => {
  expect(() => readLimited('/dev/zero', '/dev/zero', 1024)).toThrow(
    '/dev/zero is longer than 1K, or has no end',
  );
  const file = join(folder, 'huge');
  writeFileSync(file, '');
  truncateSync(file, 2 ** 43);
  expect(() => readLimited(file, 'huge', 2 ** 20)).toThrow('huge is longer than 1M, or has no end');
});

test('fails for a missing file, and anything but a file', () => {
  expect(() => readLimited('/nowhere', '/nowhere', 10)).toThrow(
    "/nowhere can't be read: no such file or directory",
  );
  expect(() => readLimited(folder, 'it', 10)).toThrow("it can't be read: illegal operation on a directory");
});

test('reads stdin: an endless pipe, and one in pieces', () => {
  const program = `import { readLimited } from '${join(import.meta.dirname, '../../src/text/read-limited.ts')}';
    try { console.log(readLimited(0, 'stdin', 1024)); } catch (error) { console.log(error.message); }`;
  const node = join(import.meta.dirname, '../../node_modules/.bin/node');
  const run = (input: string) =>
    spawnSync('sh', ['-c', `${input} | ${node} --input-type=module -e "$0"`, program], { encoding: 'utf8' })
      .stdout;
  expect(run('yes')).toBe('stdin is longer than 1K, or has no end: give the right file\n');
  expect(run('(echo a; cat /dev/null; echo b)')).toBe('a\nb\n\n');
});

describe('a named pipe', () => {
  const pipe = (name: string) => {
    const file = join(folder, name);
    execFileSync('mkfifo', [file]);
    return file;
  };

  test('without a writer is not waited for indefinitely', () => {
    const file = pipe('silent');
    expect(() => readLimited(file, 'silent', 1024, 50)).toThrow(
      "silent can't be read: nothing has been written to it for 0.05 s",
    );
  });

  test('may have a writer that stops writing', () => {
    const file = pipe('stuck');
    // One that reads and writes is a writer that stays.
    const fd = openSync(file, 'r+');
    writeSync(fd, 'part');
    expect(() => readLimited(file, 'stuck', 1024, 50)).toThrow('nothing has been written to it for 0.05 s');
    closeSync(fd);
  });

  test('is read to its end, however late, and not beyond the limit', () => {
    const file = pipe('late');
    spawn('sh', ['-c', `(echo a; cat /dev/null; echo b) > ${file}`]);
    expect(readLimited(file, 'late', 1024)).toBe('a\nb\n');
    const endless = spawn('sh', ['-c', `yes > ${file}`]);
    expect(() => readLimited(file, 'late', 1024)).toThrow('late is longer than 1K, or has no end');
    endless.kill();
  });

  test("of a shell's process substitution is accepted", () => {
    const program = `import { readLimited } from '${join(import.meta.dirname, '../../src/text/read-limited.ts')}';
      console.log(readLimited(process.argv[1], 'it', 1024));`;
    const node = join(import.meta.dirname, '../../node_modules/.bin/node');
    const { stdout } = spawnSync('bash', ['-c', `${node} --input-type=module -e "$0" <(echo key)`, program], {
      encoding: 'utf8',
    });
    expect(stdout).toBe('key\n\n');
  });
});
