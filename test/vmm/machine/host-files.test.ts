import { closeSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { HostFiles } from '../../../src/vmm/machine/host-files.ts';
import { close } from '../../../src/vmm/native/libc.ts';
import type { ResourceOwner } from '../../../src/vmm/native/resource-owner.ts';
import { noKvm, onKvm } from '../../support/kvm.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

/** What one boot of a machine owns. */
class Boot implements ResourceOwner {
  readonly fds = new Set<number>();

  ownFd(fd: number): number {
    this.fds.add(fd);
    return fd;
  }

  ownMap(): void {}

  closeFd(fd: number): void {
    this.fds.delete(fd);
    closeSync(fd);
  }

  end(): void {
    for (const fd of this.fds) closeSync(fd);
    this.fds.clear();
  }
}

let folder: string;
let boot: Boot;
let files: HostFiles;
let held: number;
beforeEach(() => {
  folder = temporaryFolder();
  held = readdirSync('/proc/self/fd').length;
  boot = new Boot();
  files = new HostFiles(boot);
});
afterEach(() => {
  boot.end();
  expect(readdirSync('/proc/self/fd')).toHaveLength(held);
});

function nextBoot(): void {
  files.detach();
  boot.end();
  boot = new Boot();
  files.attach(boot);
}

function imageText(path: string): string {
  const image = files.openImage(path, 'kernel');
  const bytes = new Uint8Array(image.size);
  image.readInto(bytes, 0, 'it');
  image.close();
  return Buffer.from(bytes).toString();
}

const options = (path: string) => ({ path, readonly: false, cache: 'writeback' as const });

describe('the files of a machine', () => {
  test('are the same in each boot, whatever their paths lead to by then', () => {
    const kernel = join(folder, 'kernel');
    writeFileSync(kernel, 'first');
    expect([imageText(kernel), imageText(kernel), files.isFirstBoot]).toEqual(['first', 'first', true]);
    writeFileSync(join(folder, 'other'), 'second');
    renameSync(join(folder, 'other'), kernel);
    for (let count = 0; count < 3; count++) {
      nextBoot();
      expect([imageText(kernel), files.isFirstBoot]).toEqual(['first', false]);
    }
    rmSync(kernel);
    nextBoot();
    expect(imageText(kernel)).toBe('first');
    expect(boot.fds.size).toBe(1);
  });

  test('a disk is not probed again after its guest has written to it', () => {
    const path = join(folder, 'disk.img');
    writeFileSync(path, new Uint8Array(2 ** 20));
    close(files.openDisk(options(path)).fd);
    // The magic of qcow2: probed, this would no longer be a raw image.
    writeFileSync(path, Buffer.concat([Buffer.from('QFI\xfb', 'latin1'), new Uint8Array(2 ** 20 - 4)]));
    nextBoot();
    const disk = files.openDisk(options(path));
    expect(disk.size).toBe(2 ** 20);
    expect(readFileSync(`/proc/self/fd/${disk.fd}`).subarray(0, 3).toString()).toBe('QFI');
    close(disk.fd);
    const others = new HostFiles(new Boot());
    expect(() => others.openDisk(options(path))).toThrow();
  });

  test('a disk stays locked between two boots', () => {
    const path = join(folder, 'disk.img');
    writeFileSync(path, new Uint8Array(2 ** 20));
    close(files.openDisk(options(path)).fd);
    files.detach();
    boot.end();
    const others = new HostFiles(new Boot());
    expect(() => others.openDisk(options(path))).toThrow(/is in use/);
    boot = new Boot();
    files.attach(boot);
    close(files.openDisk(options(path)).fd);
  });

  test('one that cannot be opened leaves nothing open', () => {
    expect(() => files.openImage(join(folder, 'none'), 'kernel')).toThrow('cannot open the kernel');
    expect(() => files.openDisk(options(join(folder, 'none')))).toThrow();
    expect(boot.fds.size).toBe(0);
  });

  test.skipIf(noKvm !== null)(onKvm('/dev/kvm is opened once'), () => {
    close(files.openKvm());
    close(files.openKvm());
    expect(boot.fds.size).toBe(1);
    nextBoot();
    close(files.openKvm());
    expect(boot.fds.size).toBe(1);
  });
});
