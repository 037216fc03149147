import { execFileSync } from 'node:child_process';
import { closeSync, openSync, readFileSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { DiskOptions } from '../../../src/devices/backends/disk.ts';
import { backingPath } from '../../../src/vmm/backends/image-chain.ts';
import { fdsOf, type OpenDisk, openDisk } from '../../../src/vmm/backends/open-disk.ts';
import * as libc from '../../../src/vmm/native/libc.ts';
import { openFds } from '../../support/fds.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const MiB = 2 ** 20;

let folder: string;
let before: number;
const opened: OpenDisk[] = [];

beforeEach(() => {
  folder = temporaryFolder();
  before = openFds();
});
afterEach(() => {
  for (const fd of opened.splice(0).flatMap(fdsOf)) libc.close(fd);
  expect(openFds()).toBe(before);
});

const at = (name: string) => join(folder, name);

function create(name: string, size: string | null, ...options: string[]): string {
  const command = ['create', '-q', '-f', 'qcow2', ...options, at(name), ...(size === null ? [] : [size])];
  execFileSync('qemu-img', command, { cwd: folder });
  return at(name);
}

const backedBy = (name: string, format: string) => ['-b', name, '-F', format];

function raw(name: string, bytes = MiB): string {
  writeFileSync(at(name), '');
  truncateSync(at(name), bytes);
  return at(name);
}

function open(path: string, options: Partial<DiskOptions> = {}): OpenDisk {
  const disk = openDisk({ path, readonly: false, cache: 'writeback', ...options });
  opened.push(disk);
  return disk;
}

/** Changes bytes of a header. */
function patch(path: string, offset: number, bytes: readonly number[]): void {
  const fd = openSync(path, 'r+');
  writeSync(fd, Uint8Array.from(bytes), 0, bytes.length, offset);
  closeSync(fd);
}

describe('a qcow2 image', () => {
  test('is recognized, and has the size in its header', () => {
    const disk = open(create('disk', '3M', '-o', 'compat=0.10'));
    expect(disk).toMatchObject({ imageFormat: 'qcow2', size: 3 * MiB, backing: [], canDiscard: true });
  });

  test('has its backing files, wherever it is opened from', () => {
    raw('base.img');
    create('middle', null, ...backedBy('base.img', 'raw'));
    create('top', '4M', ...backedBy('middle', 'qcow2'));
    const { size, backing } = open(at('top'), { format: 'qcow2' });
    expect([size, backing.map(({ path, format }) => [path, format])]).toEqual([
      4 * MiB,
      [
        [at('middle'), 'qcow2'],
        [at('base.img'), 'raw'],
      ],
    ]);
    // Two images may have the same one.
    create('other', null, ...backedBy('middle', 'qcow2'));
    expect(open(at('other'), { format: 'qcow2' }).backing).toHaveLength(2);
    expect(() => open(at('middle'))).toThrow(`disk ${at('middle')} is in use by another VM of this manager`);
  });

  test('has a backing file only if configured: the guest may have written the header', () => {
    raw('secret');
    create('disk', null, ...backedBy('secret', 'raw'));
    expect(() => open(at('disk'))).toThrow(
      `disk ${at('disk')} looks like qcow2 with the backing file secret, which its guest may have written there: set format=qcow2`,
    );
    truncateSync(at('disk'), MiB);
    expect(open(at('disk'), { format: 'raw' })).toMatchObject({ imageFormat: 'raw', backing: [] });
  });

  test('may omit the format of its backing file, which then has no backing file itself', () => {
    raw('base.img');
    create('middle', null, ...backedBy('base.img', 'raw'));
    create('top', null, ...backedBy('middle', 'qcow2'));
    create('flat', '1M');
    const withoutFormat = (name: string, backing: string) => {
      execFileSync('qemu-img', ['rebase', '-u', '-f', 'qcow2', '-b', backing, '-F', 'raw', at(name)], {
        cwd: folder,
      });
      const header = readFileSync(at(name));
      // The extension becomes an unknown one.
      patch(at(name), header.indexOf(Buffer.from('e2792aca', 'hex')), [1, 2, 3, 4]);
    };
    withoutFormat('top', 'flat');
    expect(open(at('top'), { format: 'qcow2' }).backing).toMatchObject([
      { path: at('flat'), format: 'qcow2' },
    ]);
    withoutFormat('middle', 'base.img');
    expect(open(at('middle'), { format: 'qcow2' }).backing).toMatchObject([{ format: 'raw' }]);
    create('third', null, ...backedBy('flat', 'qcow2'));
    create('fourth', '1M');
    withoutFormat('fourth', 'third');
    expect(() => open(at('fourth'), { format: 'qcow2' })).toThrow(
      `${at('fourth')} does not say which format its backing file ${at('third')} has`,
    );
  });

  test('that backs itself is rejected', () => {
    create('one', '1M');
    create('two', null, ...backedBy('one', 'qcow2'));
    execFileSync('qemu-img', ['rebase', '-u', '-f', 'qcow2', '-b', 'two', '-F', 'qcow2', at('one')], {
      cwd: folder,
    });
    expect(() => open(at('one'), { format: 'qcow2', readonly: true })).toThrow('has a loop: it returns to');
  });

  test('whose backing file is gone, or in use, names it', () => {
    const base = create('base', '1M');
    create('top', null, ...backedBy('base', 'qcow2'));
    open(base);
    expect(() => open(at('top'), { format: 'qcow2' })).toThrow(
      `the backing file of ${at('top')}: disk ${base} is in use`,
    );
    create('lost', '1M', '-u', ...backedBy('nowhere', 'raw'));
    expect(() => open(at('lost'), { format: 'qcow2' })).toThrow(`disk ${at('nowhere')} does not exist`);
  });

  test.each([
    ['corrupt', 79, [2], 'it is marked as corrupt; repair it with `vring image check --repair'],
    ['dirty', 79, [1], 'its refcounts may be wrong (dirty bit); repair it'],
    ['of another version', 7, [9], 'its version is 9, not 2 or 3'],
    ['encrypted', 35, [2], 'it is encrypted (LUKS); convert it with'],
    ['with unknown features', 78, [4], 'features that this version of vring does not know (bit 10)'],
  ] as const)('%s is rejected with a reason', (_, offset, bytes, reason) => {
    const path = create('disk', '1M');
    patch(path, offset, bytes);
    expect(() => open(path)).toThrow(reason);
  });

  test('that is marked corrupt can be read', () => {
    const path = create('disk', '1M');
    patch(path, 79, [2]);
    expect(open(path, { readonly: true })).toMatchObject({ imageFormat: 'qcow2', canDiscard: false });
  });
});

describe('the image of a real case', () => {
  test('can be opened', () => {
    const path = at('q.qcow2');
    create('q.qcow2', '16M', '-o', 'preallocation=metadata');
    expect(open(path).size).toBe(16 * MiB);
  });
});

test.each([
  ['base.img', '/a/base.img'],
  ['../base.img', '/base.img'],
  ['/b/base.img', '/b/base.img'],
  ['file:base.img', '/a/base.img'],
])('a backing file named %s is %s', (name, path) => {
  expect(backingPath('/a/disk', name)).toBe(path);
});

test.each(['nbd://host/disk', 'json:{"driver":"file"}', 'rbd:pool/image', 'https://host/disk', 'fat:/etc'])(
  'a backing file named %s is rejected',
  name => {
    expect(() => backingPath('/a/disk', name)).toThrow(
      `is backed by ${name}, which is not a file of this host`,
    );
  },
);
