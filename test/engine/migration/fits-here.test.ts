import { describe, expect, test } from 'vitest';
import { diskHere } from '../../../src/engine/migration/fits-here.ts';

const identity = (ino: string, size = 4096) => ({ size, ino, mtime: '1', ctime: '1' });
const disk = {
  path: '/srv/a.img',
  readonly: false,
  isBlockDevice: false,
  size: 4096,
  identity: identity('7'),
};

describe('a disk of a VM that arrives', () => {
  test('is the same file on both hosts', () => {
    expect(diskHere(disk, () => identity('7'))).toEqual([]);
    // An image that has grown since.
    expect(diskHere(disk, () => identity('7', 8192))).toEqual([]);
    expect(diskHere(disk, () => identity('8'))).toEqual([
      'its disk /srv/a.img is another file here: put it on storage that both hosts share',
    ]);
    expect(diskHere(disk, () => null)).toEqual([
      'its disk /srv/a.img does not exist here: put it on storage that both hosts share',
    ]);
  });

  test('needs its backing files', () => {
    const backed = { ...disk, backing: [{ path: '/srv/base.img', identity: identity('9') }] };
    const files: Record<string, string> = { '/srv/a.img': '7', '/srv/base.img': '9' };
    const at = (path: string) => (files[path] === undefined ? null : identity(files[path]));
    expect(diskHere(backed, at)).toEqual([]);
    files['/srv/base.img'] = '10';
    expect(diskHere(backed, at)).toHaveLength(1);
  });

  test('may be a block device of another number', () => {
    const device = { ...disk, path: '/dev/mapper/web', isBlockDevice: true };
    expect(diskHere(device, () => identity('1', 0))).toEqual([]);
    expect(diskHere(device, () => null)).toHaveLength(1);
  });
});
