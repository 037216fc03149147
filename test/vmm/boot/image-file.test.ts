import { execFileSync } from 'node:child_process';
import { mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { openImage, readBytes } from '../../../src/vmm/boot/image-file.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

let folder: string;
const path = (name: string) => join(folder, name);

beforeAll(() => {
  folder = temporaryFolder();
});

it('reads any part of a file', () => {
  writeFileSync(path('kernel'), 'the kernel');
  const image = openImage(path('kernel'), 'kernel');
  expect(image.size).toBe(10);
  expect(readBytes(image, 4, 6, 'name').toString()).toBe('kernel');
  expect(() => readBytes(image, 4, 7, 'name')).toThrow(
    /its name extends to byte 11.*only 10 bytes \(1 missing\)/,
  );
  image.close();
});

it('reports why a file cannot be used', () => {
  mkdirSync(path('folder'));
  expect(() => openImage(path('none'), 'initrd')).toThrow(
    `cannot open the initrd ${path('none')}: there is no such file`,
  );
  expect(() => openImage(path('folder'), 'kernel')).toThrow('is not a regular file');
});

it('does not wait for a writer of a named pipe', () => {
  execFileSync('mkfifo', [path('pipe')]);
  expect(() => openImage(path('pipe'), 'kernel')).toThrow('is not a regular file');
});

it('detects a file that is truncated while it is read', () => {
  writeFileSync(path('shrinking'), 'x'.repeat(100));
  const image = openImage(path('shrinking'), 'kernel');
  truncateSync(path('shrinking'), 50);
  expect(() => readBytes(image, 0, 100, 'content')).toThrow('shrank while it was being read');
  image.close();
});
