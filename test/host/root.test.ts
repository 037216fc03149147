import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { HostReadError, HostRoot } from '../../src/host/root.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

let directory = '';
let root: HostRoot;

beforeEach(() => {
  directory = temporaryFolder();
  fs.mkdirSync(path.join(directory, 'etc/deep'), { recursive: true });
  fs.writeFileSync(path.join(directory, 'etc/hostname'), 'recorded\n');
  root = new HostRoot(directory);
});

const link = (at: string, target: string) => fs.symlinkSync(target, path.join(directory, at));

test('an absolute link is followed inside the tree, not on this machine', () => {
  link('etc/name', '/etc/hostname');
  expect(root.text('/etc/name')).toBe('recorded\n');
  link('etc/users', '/etc/passwd');
  expect(root.text('/etc/users')).toBeNull();
});

test('a relative link with too many .. stops at the root', () => {
  link('etc/deep/name', '../../../../../../../../etc/hostname');
  expect(root.text('/etc/deep/name')).toBe('recorded\n');
  expect(root.real('/etc/deep/name')).toBe('/etc/hostname');
});

test('a directory that is a link is followed inside the tree', () => {
  link('lib', '/etc/deep');
  fs.writeFileSync(path.join(directory, 'etc/deep/file'), 'x');
  expect(root.list('/lib')).toEqual(['file']);
  expect(root.text('/lib/file')).toBe('x');
});

test('a path with .. cannot leave the tree', () => {
  expect(root.text('/../../../etc/hostname')).toBe('recorded\n');
});

test('a loop of links is an error that names the path', () => {
  link('etc/a', 'b');
  link('etc/b', 'a');
  const reason = 'its symbolic links form a loop: fix or remove them';
  expect(() => root.text('/etc/a')).toThrow(`cannot read /etc/a: ${reason}`);
  expect(() => root.list('/etc/a')).toThrow(`cannot read /etc/a: ${reason}`);
  const live = new HostRoot('/');
  expect(() => live.text(path.join(directory, 'etc/a'))).toThrow(reason);
  for (const exists of [root.exists('/etc/a'), live.exists(path.join(directory, 'etc/a'))]) {
    expect(exists).toBe(false);
  }
  expect(live.node(path.join(directory, 'etc/a'))).toBeNull();
});

test('a FIFO is an error, and is not waited for', () => {
  execFileSync('mkfifo', [path.join(directory, 'etc/fifo')]);
  link('etc/to-fifo', 'fifo');
  for (const name of ['/etc/fifo', '/etc/to-fifo']) {
    expect(() => root.text(name)).toThrow(`cannot read ${name}: it is a FIFO, not a file`);
  }
  expect(() => new HostRoot('/').text(path.join(directory, 'etc/fifo'))).toThrow('it is a FIFO');
});

test('a missing file is null; a directory is an error that names it', () => {
  expect(root.text('/etc/none')).toBeNull();
  expect(root.list('/none')).toBeNull();
  expect(root.link('/etc/hostname')).toBeNull();
  expect(root.text('/etc/hostname/below')).toBeNull();
  expect(() => root.text('/etc/deep')).toThrow(HostReadError);
  expect(() => root.text('/etc/deep')).toThrow('cannot read /etc/deep: it is a directory, not a file');
});

test('reads end at the limit, and large files are read completely', () => {
  const large = 'line\n'.repeat(300_000);
  fs.writeFileSync(path.join(directory, 'large'), large);
  expect(root.text('/large', 4 << 20)).toBe(large);
  expect(root.text('/large', 10)).toBe('line\nline\n');
  expect(root.text('/large', 100_001)).toHaveLength(100_001);
});

test('a retargeted link is seen at the next read', () => {
  fs.writeFileSync(path.join(directory, 'etc/deep/value'), 'old');
  link('now', 'etc/deep');
  expect(root.text('/now/value')).toBe('old');
  fs.mkdirSync(path.join(directory, 'etc/other'));
  fs.writeFileSync(path.join(directory, 'etc/other/value'), 'new');
  fs.rmSync(path.join(directory, 'now'));
  link('now', 'etc/other');
  expect(root.text('/now/value')).toBe('new');
});

test.each(['/../x', '/./x', '//x', '/a/../../x', '/a//../../x', 'x/../../y'])(
  'the path %s stays below the root',
  hostPath => {
    const root = new HostRoot(directory);
    expect(root.resolve(hostPath).startsWith(root.path)).toBe(true);
    expect(root.text(hostPath)).toBeNull();
  },
);
