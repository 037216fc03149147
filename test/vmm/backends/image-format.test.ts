import { execFileSync, spawnSync } from 'node:child_process';
import {
  closeSync,
  openSync,
  readFileSync,
  readSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { imageInfo } from '../../../src/definitions/create/image-info.ts';
import { probeFormat, toRaw } from '../../../src/vmm/backends/image-format.ts';
import { openDisk } from '../../../src/vmm/backends/open-disk.ts';
import * as libc from '../../../src/vmm/native/libc.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const MiB = 2 ** 20;
const folder = temporaryFolder();
const hasQemuImg = spawnSync('qemu-img', ['--version']).status === 0;

function probe(file: string): string {
  const fd = openSync(file, 'r');
  const read = (offset: number, length: number) => {
    const bytes = Buffer.alloc(length);
    return bytes.subarray(0, readSync(fd, bytes, 0, length, offset));
  };
  try {
    return probeFormat(read, statSync(file).size);
  } finally {
    closeSync(fd);
  }
}

/** A raw disk with bytes at an offset. */
function disk(name: string, content: string | Buffer = '', at = 0): string {
  const file = join(folder, name);
  writeFileSync(file, '');
  truncateSync(file, MiB);
  const fd = openSync(file, 'r+');
  const bytes = typeof content === 'string' ? Buffer.from(content, 'latin1') : content;
  if (bytes.length > 0) writeSync(fd, bytes, 0, bytes.length, at);
  closeSync(fd);
  return file;
}

const open = (path: string, more: { format?: 'raw'; readonly?: boolean; cache?: 'none' } = {}) => {
  const opened = openDisk({ path, readonly: false, cache: 'writeback', ...more });
  libc.close(opened.fd);
};

describe.skipIf(!hasQemuImg)('images made by qemu-img (needs qemu-utils)', () => {
  test.each([
    ['qcow2', 'qcow2', []],
    ['qcow2', 'qcow2', ['-o', 'compat=0.10']],
    ['qcow', 'qcow', []],
    ['qed', 'qed', []],
    ['vdi', 'vdi', []],
    ['vmdk', 'vmdk', []],
    ['vmdk', 'vmdk', ['-o', 'subformat=monolithicFlat']],
    ['vmdk', 'vmdk', ['-o', 'subformat=streamOptimized']],
    ['vpc', 'vhd', []],
    ['vpc', 'vhd', ['-o', 'subformat=fixed']],
    ['vhdx', 'vhdx', []],
    ['parallels', 'parallels', []],
    ['luks', 'luks', ['--object', 'secret,id=s,data=x', '-o', 'key-secret=s,iter-time=10']],
    ['raw', 'raw', []],
  ])('%s is detected as %s (%j)', (format, seen, options) => {
    const file = join(folder, `disk.${format}`);
    const rest = [file, '4M'];
    execFileSync('qemu-img', ['create', '-q', '-f', format, ...options, ...rest]);
    expect(probe(file)).toBe(seen);
    if (seen === 'raw' || seen === 'qcow2') return open(file);
    // A VMDK's text is recognized whatever its length.
    expect(() => open(file)).toThrow(
      `disk ${file} looks like ${seen}, which would be overwritten as a raw disk`,
    );
    expect(() => open(file, { readonly: true })).toThrow(`looks like ${seen}`);
  });

  test.each([
    ['disk.vhd', 'disk.raw'],
    ['disk', 'disk.raw'],
    ['misnamed.raw', 'misnamed.raw.raw'],
    ["the guest's disk.vhd", "the guest's disk.raw"],
  ])('the suggested command for the format of %s works', (name, made) => {
    const file = join(folder, name);
    execFileSync('qemu-img', ['create', '-q', '-f', 'vpc', file, '4M']);
    const command = /`(.*)`/.exec(toRaw('vhd', file))![1]!;
    execFileSync('sh', ['-c', command]);
    expect([probe(file), probe(join(folder, made))]).toEqual(['vhd', 'raw']);
  });
});

test.each([
  ['vmdk', 'COWD\x01\0\0\0', 0],
  ['vmdk', '\n# comment\r\n\nversion=3\nCID=1', 0],
  ['bochs', 'Bochs Virtual HD Image\0', 0],
  ['cloop', '#!/bin/sh\n#V2.0 Format\nmodprobe cloop file=$0 && mount', 0],
  ['parallels', 'WithouFreSpacExt', 0],
  ['dmg', 'koly\0\0\0\x04', MiB - 512],
  ['gzip', gzipSync('disk'), 0],
  ['zstd', zstdCompressSync(Buffer.from('disk')), 0],
  ['xz', '\xfd7zXZ\0\0', 0],
  ['bzip2', 'BZh91AY&SY', 0],
  ['zip', 'PK\x03\x04', 0],
] as const)('%s is detected by its bytes', (format, bytes, at) => {
  const file = disk('image', bytes, at);
  expect(probe(file)).toBe(format);
  expect(() => open(file)).toThrow(`looks like ${format}`);
  expect(() => open(file, { cache: 'none' })).toThrow(`looks like ${format}`);
  expect(() => imageInfo(file)).toThrow(`the image ${file} looks like ${format}: `);
  open(file, { format: 'raw' });
});

test.each([
  ['nothing', '', 0],
  ['a boot sector', '\xeb\x63\x90', 0],
  ['an ISO', '\x01CD001\x01', 0x8000],
  ['an ext4', '\x53\xef', 0x438],
  ['a magic elsewhere', 'QFI\xfb', 512],
  ['a script', '#!/bin/sh\necho version=1\n', 0],
] as const)('%s is raw', (_name, bytes, at) => {
  const file = disk('image', bytes, at);
  expect(probe(file)).toBe('raw');
  open(file);
});

test('a header that a guest has written to its raw disk is rejected at the next start', () => {
  const file = disk('guest.img');
  open(file);
  writeFileSync(file, Buffer.concat([Buffer.from('QED\0', 'latin1'), Buffer.alloc(MiB - 4)]));
  // It is probed again, unless its format is given.
  expect(() => open(file)).toThrow(
    `disk ${file} looks like qed, which would be overwritten as a raw disk: make a raw one with \`qemu-img convert -f qed -O raw ${file} ${file.replace('.img', '.raw')}\`, or set format=raw if it is a raw disk and its guest wrote that`,
  );
  expect(readFileSync(file).subarray(0, 3).toString()).toBe('QED');
  open(file, { format: 'raw' });
});
