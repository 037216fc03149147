import { closeSync, openSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { DiskOptions } from '../../../src/devices/backends/disk.ts';
import { HostFiles } from '../../../src/vmm/machine/host-files.ts';
import { isLockedElsewhere } from '../../../src/vmm/native/ofd-lock.ts';
import { openFds } from '../../support/fds.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const SIZE = 1024 * 1024;

/** An owner that closes what it owns at the end. */
class Owner {
  readonly fds = new Set<number>();
  ownFd(fd: number): number {
    expect(this.fds.has(fd)).toBe(false);
    this.fds.add(fd);
    return fd;
  }
  ownMap(): void {}
  closeFd(fd: number): void {
    expect(this.fds.delete(fd)).toBe(true);
    closeSync(fd);
  }
  close(): void {
    for (const fd of [...this.fds]) this.closeFd(fd);
  }
}

let folder: string;
let before: number;
let owner: Owner;
let options: DiskOptions;
const isLocked = () => {
  const fd = openSync(options.path, 'r');
  const locked = isLockedElsewhere(fd, { start: 0, length: 0 });
  closeSync(fd);
  return locked;
};

beforeEach(() => {
  folder = temporaryFolder();
  options = { path: join(folder, 'disk.img'), readonly: false, cache: 'writeback' };
  writeFileSync(options.path, new Uint8Array(SIZE));
  before = openFds();
  owner = new Owner();
});
afterEach(() => {
  owner.close();
  expect(openFds()).toBe(before);
});

describe('the files of a machine', () => {
  test('are its disks, until their devices close them', () => {
    const files = new HostFiles(owner);
    const { disk, owner: own } = files.openDisk({ ...options, more: 'of the device' } as DiskOptions);
    own.ownFd(disk.fd);
    expect(files.disks).toEqual([{ ...options, format: undefined, ...disk }]);
    expect([disk.size, isLocked()]).toEqual([SIZE, true]);
    own.closeFd(disk.fd);
    expect([files.disks, isLocked()]).toEqual([[], false]);
  });

  test('are its boot files, whatever their paths refer to later', () => {
    const path = join(folder, 'kernel');
    writeFileSync(path, 'first');
    const files = new HostFiles(owner);
    files.openImage(path, 'kernel').close();
    renameSync(path, `${path}.old`);
    writeFileSync(path, 'second one');
    const image = files.openImage(path, 'kernel');
    expect(image.size).toBe(5);
    image.close();
    expect(files.images).toEqual([{ path, fd: expect.any(Number) }]);
  });
});

describe('the files of a machine from another process', () => {
  /** As they are received from it. */
  const given = (change: Partial<DiskOptions> = {}) => ({
    disks: [
      {
        ...options,
        ...change,
        fd: openSync(options.path, 'r+'),
        size: SIZE,
        imageFormat: 'raw' as const,
        backing: [],
        isBlockDevice: false,
        blockSize: 512,
        canDiscard: true,
        file: 'fd00:1',
      },
    ],
    images: [{ path: '/boot/vmlinux', fd: openSync(options.path, 'r') }],
  });

  test('are not reopened', () => {
    const passed = given();
    const files = new HostFiles(owner, passed);
    const { disk, owner: own } = files.openDisk(options);
    own.ownFd(disk.fd);
    files.checkGiven();
    expect([disk.fd, isLocked()]).toEqual([passed.disks[0]!.fd, false]);
    const image = files.openImage('/boot/vmlinux', 'kernel');
    expect(image.size).toBe(SIZE);
    image.close();
    disk.size = 2 * SIZE;
    expect(files.disks).toMatchObject([{ path: options.path, size: 2 * SIZE }]);
  });

  test('must include every disk of a device', () => {
    const files = new HostFiles(owner, given({ readonly: true }));
    expect(() => files.openDisk(options)).toThrow(`the disk ${options.path} was not passed`);
    expect(() => files.checkGiven()).toThrow(`no device has the disk ${options.path}`);
  });

  test('may include the same disk twice, for two devices', () => {
    const [one, two] = [given({ readonly: true }), given({ readonly: true })];
    closeSync(two.images[0]!.fd);
    const files = new HostFiles(owner, { ...one, disks: [...one.disks, ...two.disks] });
    const shared = { ...options, readonly: true };
    const fds = [files.openDisk(shared), files.openDisk(shared)].map(({ disk, owner }) =>
      owner.ownFd(disk.fd),
    );
    expect(fds).toEqual([one.disks[0]!.fd, two.disks[0]!.fd]);
    expect(() => files.openDisk(shared)).toThrow('was not passed');
    files.checkGiven();
  });
});
