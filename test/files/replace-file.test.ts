import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { beforeEach, describe, expect, test } from 'vitest';
import { removeFiles, replaceFile } from '../../src/files/replace-file.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

let folder: string;
let file: string;
beforeEach(() => {
  folder = temporaryFolder();
  file = path.join(folder, 'grub');
});

const read = (name: string) => fs.readFileSync(path.join(folder, name), 'utf8');

test('creates a file and its parent folders', () => {
  const deep = path.join(folder, 'a/b/c.conf');
  replaceFile(deep, 'text\n', { mode: 0o640 });
  expect(fs.readFileSync(deep, 'utf8')).toBe('text\n');
  expect(fs.statSync(deep).mode & 0o7777).toBe(0o640);
  expect(fs.readdirSync(path.dirname(deep))).toEqual(['c.conf']);
});

test('a file that is replaced keeps its permissions, its owner and its extended attributes; a link is followed', () => {
  fs.writeFileSync(file, 'old\n', { mode: 0o604 });
  fs.chmodSync(file, 0o604);
  const root = process.getuid!() === 0;
  if (root) fs.chownSync(file, 12, 34);
  const python = (code: string) => execFileSync('python3', ['-c', code, file], { encoding: 'utf8' }).trim();
  python('import os,sys; os.setxattr(sys.argv[1], "user.label", b"etc_t")');
  const link = path.join(folder, 'link');
  fs.symlinkSync('grub', link);
  replaceFile(link, 'new\n', { mode: 0o600 });
  expect(fs.readlinkSync(link)).toBe('grub');
  expect(read('grub')).toBe('new\n');
  const { mode, uid, gid } = fs.statSync(file);
  expect(mode & 0o7777).toBe(0o604);
  if (root) expect([uid, gid]).toEqual([12, 34]);
  expect(python('import os,sys; print(os.getxattr(sys.argv[1], "user.label").decode())')).toBe('etc_t');
});

test('leftovers of a killed process are removed; files that may still be written, or are not ours, stay', () => {
  const dead = spawnSync('true').pid;
  const longAgo = new Date(Date.now() - 3_600_000);
  const put = (name: string) => {
    fs.writeFileSync(path.join(folder, name), '');
    fs.utimesSync(path.join(folder, name), longAgo, longAgo);
  };
  const kept = [
    `.grub.${process.ppid}-0123456789ab.new`,
    `.grub.${dead}-0123456789.new`,
    `.grub.${dead}.new`,
    `grub.${dead}-0123456789ab.new`,
    '.grub.0-0123456789ab.new',
    '.grub.99999999999999999999-0123456789ab.new',
  ];
  for (const name of [...kept, `.grub.${dead}-0123456789ab.new`, `.a.b.${dead}-ba9876543210.new`]) put(name);
  const justNow = `.grub.${dead}-aaaaaaaaaaaa.new`;
  fs.writeFileSync(path.join(folder, justNow), '');
  fs.symlinkSync('/etc/passwd', path.join(folder, `.grub.${dead}-bbbbbbbbbbbb.new`));
  replaceFile(file, 'new\n', { mode: 0o600 });
  const left = ['grub', justNow, `.grub.${dead}-bbbbbbbbbbbb.new`, ...kept];
  expect(fs.readdirSync(folder).sort()).toEqual(left.sort());
});

test('a FIFO, a device or a folder is not replaced', () => {
  execFileSync('mkfifo', [file]);
  for (const fresh of [true, false]) {
    expect(() => replaceFile(file, 'text\n', { mode: 0o600, fresh })).toThrow(
      `${file} is not a regular file`,
    );
  }
  expect(fs.statSync(file).isFIFO()).toBe(true);
  expect(() => replaceFile(folder, 'text\n', { mode: 0o600 })).toThrow('is not a regular file');
  expect(fs.readdirSync(folder)).toEqual(['grub']);
});

describe('the previous file', () => {
  const kept = () => path.join(folder, 'grub.before');

  test('is kept the first time, unchanged', () => {
    fs.writeFileSync(file, 'first\n', { mode: 0o640 });
    const inode = fs.statSync(file).ino;
    replaceFile(file, 'second\n', { mode: 0o600, backup: { path: kept(), replace: false } });
    replaceFile(file, 'third\n', { mode: 0o600, backup: { path: kept(), replace: false } });
    expect([read('grub'), read('grub.before')]).toEqual(['third\n', 'first\n']);
    expect(fs.statSync(kept()).ino).toBe(inode);
  });

  test('is kept each time', () => {
    fs.writeFileSync(file, 'first\n');
    replaceFile(file, 'second\n', { mode: 0o600, backup: { path: kept(), replace: true } });
    replaceFile(file, 'third\n', { mode: 0o600, backup: { path: kept(), replace: true } });
    expect(read('grub.before')).toBe('second\n');
  });
});

test('an exclusive file never replaces another', () => {
  fs.writeFileSync(file, 'theirs\n');
  expect(() => replaceFile(file, 'ours\n', { mode: 0o600, exclusive: true })).toThrow(
    expect.objectContaining({ code: 'EEXIST' }),
  );
  expect(read('grub')).toBe('theirs\n');
  expect(fs.readdirSync(folder)).toEqual(['grub']);
});

test('a failure leaves the old file, and no temporary one', () => {
  fs.writeFileSync(file, 'old\n');
  const backup = { path: path.join(folder, 'missing/backup'), replace: false };
  expect(() => replaceFile(file, 'new\n', { mode: 0o600, backup })).toThrow(
    expect.objectContaining({ code: 'ENOENT' }),
  );
  expect(read('grub')).toBe('old\n');
  expect(fs.readdirSync(folder)).toEqual(['grub']);
});

test('a reader finds one of the complete texts at any time', async () => {
  const texts = ['a', 'b'].map(letter => `${letter.repeat(100_000)}\n`);
  replaceFile(file, texts[0]!, { mode: 0o644 });
  const reader = new Worker(
    `const { parentPort, workerData } = require('node:worker_threads');
     const fs = require('node:fs');
     const seen = new Set();
     const run = () => {
       for (let count = 0; count < 20; count++) {
         try { const text = fs.readFileSync(workerData, 'utf8'); seen.add(text[0] + text.length); }
         catch (error) { seen.add(error.code); }
       }
       parentPort.postMessage([...seen]);
     };
     parentPort.on('message', run); run();`,
    { eval: true, workerData: file },
  );
  const seen = new Set<string>();
  let writes = 0;
  await new Promise<void>(done => {
    reader.on('message', (found: string[]) => {
      for (const each of found) seen.add(each);
      if (++writes > 200 || seen.size > 2) return done();
      replaceFile(file, texts[writes % 2]!, { mode: 0o644 });
      reader.postMessage(null);
      replaceFile(file, texts[(writes + 1) % 2]!, { mode: 0o644 });
    });
  });
  await reader.terminate();
  expect([...seen].sort()).toEqual(['a100001', 'b100001']);
});

test('files are removed, and their folder when it becomes empty', () => {
  const inner = path.join(folder, 'inner');
  fs.mkdirSync(inner);
  for (const name of ['a', 'b']) fs.writeFileSync(path.join(inner, name), '');
  removeFiles([path.join(inner, 'a'), path.join(inner, 'missing')], true);
  expect(fs.readdirSync(inner)).toEqual(['b']);
  removeFiles([path.join(inner, 'b')], true);
  expect(fs.readdirSync(folder)).toEqual([]);
});
