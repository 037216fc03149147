import { execFileSync } from 'node:child_process';
import { closeSync, existsSync, openSync, readdirSync, readFileSync, readSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { fdsOf, openDisk } from '../../../src/vmm/backends/open-disk.ts';
import { emptyOverlay } from '../../../src/vmm/backends/transient-overlay.ts';
import { imageOnFullDisk } from '../../support/full-disk.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const GiB = 2 ** 30;
const TiB = 2 ** 40;

const fds: number[] = [];
const { TMPDIR } = process.env;
afterEach(() => {
  for (const fd of fds.splice(0)) closeSync(fd);
  if (TMPDIR === undefined) delete process.env.TMPDIR;
  else process.env.TMPDIR = TMPDIR;
});

function opened(options: Parameters<typeof openDisk>[0]) {
  const disk = openDisk(options);
  fds.push(...fdsOf(disk));
  return disk;
}

function image(): string {
  const path = join(temporaryFolder(), 'disk.img');
  writeFileSync(path, Buffer.alloc(2 ** 20, 'content '));
  return path;
}

const qemuImg = (...args: string[]) => execFileSync('qemu-img', args, { encoding: 'utf8' });

describe('an empty overlay', () => {
  it.each([512, 64 * 1024, GiB + 512, 100 * GiB, 8 * TiB])('of %i bytes passes qemu-img check', size => {
    const folder = temporaryFolder();
    const file = join(folder, 'overlay.qcow2');
    qemuImg('create', '-q', '-f', 'qcow2', join(folder, 'base'), String(size));
    writeFileSync(file, emptyOverlay(size, 'qcow2'));
    const info = JSON.parse(qemuImg('info', '--output=json', file));
    expect(info).toMatchObject({
      ...{ 'virtual-size': size, 'backing-filename': 'base', 'backing-filename-format': 'qcow2' },
      ...{ 'cluster-size': 65536, 'dirty-flag': false },
    });
    const found = JSON.parse(qemuImg('check', '--output=json', file));
    expect(found['check-errors']).toBe(0);
    expect(found).not.toHaveProperty('leaks');
    expect(found).not.toHaveProperty('corruptions');
  });
});

describe('a transient disk', () => {
  it.each(['writeback', 'none'] as const)('is backed by its file, which is only read (cache=%s)', cache => {
    const path = image();
    const folder = temporaryFolder();
    process.env.TMPDIR = folder;
    const options = { path, format: undefined, readonly: false, cache, transient: true };
    const disk = opened(options);
    expect(disk).toMatchObject({
      ...{ imageFormat: 'qcow2', size: 2 ** 20, isBlockDevice: false, canDiscard: true },
      backing: [{ path, format: 'raw' }],
    });
    // The file for writes has no name, and the one below must not be written.
    expect(readdirSync(folder)).toEqual([]);
    expect(() => openDisk({ ...options, transient: false })).toThrow('is in use');
    const second = opened(options);
    expect(second.file).not.toBe(disk.file);
    const access = readFileSync(`/proc/self/fdinfo/${disk.backing[0]!.fd}`, 'utf8');
    expect(Number.parseInt(/^flags:\s*(\d+)/m.exec(access)![1]!, 8) & 3).toBe(0);
  });

  it('has the content of a qcow2 image and its backing file', () => {
    const base = image();
    const path = join(temporaryFolder(), 'top.qcow2');
    qemuImg('create', '-q', '-f', 'qcow2', '-b', base, '-F', 'raw', path, '2M');
    const disk = opened({ path, format: 'qcow2', readonly: false, cache: 'writeback', transient: true });
    expect(disk.size).toBe(2 ** 21);
    expect(disk.backing.map(({ path, format }) => [path, format])).toEqual([
      [path, 'qcow2'],
      [base, 'raw'],
    ]);
    const head = Buffer.alloc(4);
    readSync(disk.fd, head, 0, 4, 0);
    expect(head.toString('latin1')).toBe('QFI\xfb');
  });

  it('leaves nothing open when its data does not fit', context => {
    const path = image();
    process.env.TMPDIR = dirname(imageOnFullDisk(context, temporaryFolder(), 4096));
    const open = readdirSync('/proc/self/fd').length;
    expect(() =>
      openDisk({ path, format: 'raw', readonly: false, cache: 'writeback', transient: true }),
    ).toThrow(`cannot be created in ${process.env.TMPDIR} (ENOSPC)`);
    expect(readdirSync('/proc/self/fd')).toHaveLength(open);
  });

  it('needs a folder for its data', () => {
    const path = image();
    process.env.TMPDIR = join(temporaryFolder(), 'gone');
    expect(existsSync(process.env.TMPDIR)).toBe(false);
    expect(() =>
      openDisk({ path, format: 'raw', readonly: false, cache: 'writeback', transient: true }),
    ).toThrow(
      `disk ${path} is transient, and a file for what its guest writes cannot be created in ${process.env.TMPDIR} (ENOENT): set TMPDIR to a folder with room`,
    );
    // It is not locked.
    closeSync(openSync(path, 'r+'));
    opened({ path, format: 'raw', readonly: false, cache: 'writeback' });
  });
});
