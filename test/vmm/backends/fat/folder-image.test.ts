import { execFileSync } from 'node:child_process';
import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { FolderFormat } from '../../../../src/devices/backends/disk.ts';
import { scanFolder } from '../../../../src/vmm/backends/fat/folder.ts';
import { folderImage } from '../../../../src/vmm/backends/fat/folder-image.ts';
import { layOut, writeImage } from '../../../../src/vmm/backends/fat/image.ts';
import { fdsOf, openDisk } from '../../../../src/vmm/backends/open-disk.ts';
import { imageOnFullDisk } from '../../../support/full-disk.ts';
import { temporaryFolder } from '../../../support/temporary-folder.ts';

const SECTOR = 512;
const MiB = 2 ** 20;
/** Where the partition of a hard disk begins. */
const PARTITION = 63 * SECTOR;

const fds: number[] = [];
afterEach(() => {
  for (const fd of fds.splice(0)) closeSync(fd);
});

/** A folder with these files; a name that ends with a slash is a folder. */
function folderWith(files: Readonly<Record<string, string | Buffer>>): string {
  const folder = temporaryFolder();
  for (const [name, content] of Object.entries(files)) {
    const path = join(folder, name);
    mkdirSync(name.endsWith('/') ? path : dirname(path), { recursive: true });
    if (!name.endsWith('/')) writeFileSync(path, content);
  }
  return folder;
}

function opened(path: string, format: FolderFormat) {
  const disk = openDisk({ path, format, readonly: true, cache: 'writeback' });
  fds.push(...fdsOf(disk));
  return disk;
}

/** The file system alone, as a file that other programs read. */
function fileSystemOf(path: string, format: FolderFormat): string {
  const { fd } = opened(path, format);
  const file = join(temporaryFolder(), 'file-system.img');
  const from = `if=/proc/${process.pid}/fd/${fd}`;
  const skip = format === 'fat-floppy' ? 0 : PARTITION;
  execFileSync('dd', [from, `of=${file}`, `skip=${skip}B`, 'bs=63k', 'conv=sparse', 'status=none']);
  return file;
}

/** The layout of a file system, whose files are not copied. */
function layoutOf(path: string, format: FolderFormat) {
  return layOut(last(scanFolder(path)), format, path);
}

/** What work in steps results in. */
function last<Value>(work: Generator<void, Value>): Value {
  for (;;) {
    const step = work.next();
    if (step.done) return step.value;
  }
}

const UTF8 = { ...process.env, LC_ALL: 'C.UTF-8' };
const read = (fileSystem: string, name: string) =>
  execFileSync('mtype', ['-i', fileSystem, `::${name}`], { env: UTF8, maxBuffer: 64 * MiB });
const listing = (fileSystem: string, name = '/') =>
  execFileSync('mdir', ['-a', '-i', fileSystem, `::${name}`], { encoding: 'utf8', env: UTF8 });
/** Throws for a file system with any fault. */
const check = (fileSystem: string) => execFileSync('fsck.vfat', ['-n', fileSystem], { encoding: 'utf8' });

const FILES = {
  'EFI/BOOT/BOOTX64.EFI': Buffer.alloc(300_001, 'the boot loader '),
  'Read Me First, please.markdown': 'a long name',
  'thirteen-char': '13 characters fill one entry',
  'sixteen-characte': '16',
  'LONGNA~1.TXT': 'has the short name of another',
  'longname-of-this.txt': 'gets another one',
  'longname-of-that.txt': 'and so does this',
  'ünïcödé 名前.txt': 'not in ASCII',
  '.dotfile': 'no base name',
  'a.b.c.tar.gz': 'dots',
  straße: 'has an upper-case letter that FAT does not have',
  strasse: 'is another file',
  empty: '',
  'empty folder/': '',
  'deep/er/and/deep/er/still/file': 'far down',
};

describe.each(['fat', 'fat32', 'fat-floppy'] as const)('a folder as %s', format => {
  it('is a consistent file system with all names and contents', () => {
    const fileSystem = fileSystemOf(folderWith(FILES), format);
    expect(check(fileSystem)).toMatch(/\d+ files, \d+\/\d+ clusters/);
    for (const [name, content] of Object.entries(FILES)) {
      if (name.endsWith('/')) expect(listing(fileSystem, name)).toContain('0 bytes');
      else expect(read(fileSystem, name).toString(), name).toBe(content.toString());
    }
    // Without its long name, each file is known by another one.
    const shortNames = listing(fileSystem).match(/^\S{1,8} +(?!<DIR>)\S* /gm)!;
    expect(new Set(shortNames).size).toBe(shortNames.length);
  });

  it('supports a directory of any length', () => {
    const many = Array.from({ length: 600 }, (_, index) => [`in/file number ${index}`, `${index}`]);
    const fileSystem = fileSystemOf(folderWith(Object.fromEntries(many)), format);
    check(fileSystem);
    expect(listing(fileSystem, '/in')).toContain('602 files');
    expect(read(fileSystem, 'in/file number 599').toString()).toBe('599');
  });

  it('supports as many files in its root', () => {
    const many = Array.from({ length: 600 }, (_, index) => [`file number ${index}`, '']);
    const fileSystem = fileSystemOf(folderWith(Object.fromEntries(many)), format);
    check(fileSystem);
    expect(listing(fileSystem)).toContain('600 files');
  });
});

describe('the disk of a folder', () => {
  it('has one partition in a sparse image of 504 MiB', () => {
    const { fd, size, imageFormat } = opened(folderWith(FILES), 'fat');
    expect({ size, imageFormat }).toEqual({ size: 504 * MiB, imageFormat: 'raw' });
    expect(statSync(`/proc/self/fd/${fd}`).blocks * SECTOR).toBeLessThan(2 * MiB);
    const table = execFileSync('sfdisk', ['--dump', `/proc/${process.pid}/fd/${fd}`], { encoding: 'utf8' });
    expect(table).toMatch(/start= +63, size= +1032129, type=e, bootable/);
  });

  it('is FAT32 if its files need it, and a floppy disk of 2.88 MB', () => {
    const large = folderWith({ file: '' });
    truncateSync(join(large, 'file'), 600 * MiB);
    const layout = layoutOf(large, 'fat');
    expect(layout).toMatchObject({ volume: { bits: 32 } });
    expect(layout.size).toBeGreaterThan(650 * MiB);
    expect(opened(folderWith({ a: '' }), 'fat-floppy').size).toBe(2880 * SECTOR);
    expect(opened(folderWith({ a: Buffer.alloc(2 * MiB) }), 'fat-floppy').size).toBe(5760 * SECTOR);
  });

  it('is a copy of the folder with the times of its files and the targets of links', () => {
    const folder = folderWith({ 'a.txt': 'before', 'there/b.txt': 'linked' });
    utimesSync(join(folder, 'a.txt'), new Date(2001, 1, 3, 4, 5, 6), new Date(2001, 1, 3, 4, 5, 6));
    symlinkSync('there/b.txt', join(folder, 'link.txt'));
    symlinkSync('nowhere', join(folder, 'dangling'));
    symlinkSync('loop-1', join(folder, 'loop-2'));
    symlinkSync('loop-2', join(folder, 'loop-1'));
    execFileSync('mkfifo', [join(folder, 'pipe')]);
    const fileSystem = fileSystemOf(folder, 'fat');
    writeFileSync(join(folder, 'a.txt'), 'after');
    expect(read(fileSystem, 'a.txt').toString()).toBe('before');
    expect(read(fileSystem, 'link.txt').toString()).toBe('linked');
    expect(listing(fileSystem)).toMatch(/2001-02-03 +4:05/);
    expect(listing(fileSystem)).not.toMatch(/dangling|loop|pipe/);
  });

  it('has the label that its guest expects', () => {
    const path = folderWith({ 'user-data': '#cloud-config' });
    const options = { path, format: 'fat-floppy', readonly: true, cache: 'writeback' } as const;
    const disk = openDisk({ ...options, label: 'cidata' });
    fds.push(disk.fd);
    const fileSystem = `/proc/${process.pid}/fd/${disk.fd}`;
    check(fileSystem);
    expect(execFileSync('blkid', ['-p', '-o', 'export', fileSystem], { encoding: 'utf8' })).toContain(
      'LABEL=cidata',
    );
    expect(listing(fileSystem)).toContain('cidata');
  });

  it('never changes the folder: it is read-only or transient', () => {
    const path = folderWith({ a: 'content' });
    const options = { path, format: 'fat', readonly: false, cache: 'writeback' } as const;
    expect(() => openDisk(options)).toThrow(
      `disk ${path} is a folder, to which nothing that the guest writes returns: set readonly, or transient if what it writes may be lost`,
    );
    const disk = openDisk({ ...options, transient: true });
    fds.push(disk.fd);
    expect(disk).toMatchObject({ canDiscard: true, backing: [] });
    expect(() => openDisk({ ...options, format: undefined })).toThrow(
      `disk ${path} is a directory: give an image file or a block device, or add format=fat to make a disk of its files`,
    );
  });

  it.each([
    ['shrinks', (file: string) => truncateSync(file, 4), null],
    ['grows', (file: string) => writeFileSync(file, 'content and more'), null],
    ['is gone', (file: string) => rmSync(file), 'is no longer a regular file: start the VM again'],
    [
      'becomes a pipe',
      (file: string) => {
        rmSync(file);
        execFileSync('mkfifo', [file]);
      },
      'is no longer a regular file: start the VM again',
    ],
    [
      'becomes a link to itself',
      (file: string) => {
        rmSync(file);
        symlinkSync('file', file);
      },
      'is no longer a regular file: start the VM again',
    ],
  ])('is still created if a file %s in the meantime', (_, change, refusal) => {
    const folder = folderWith({ file: 'content' });
    const root = last(scanFolder(folder));
    const layout = layOut(root, 'fat-floppy', folder);
    change(join(folder, 'file'));
    const image = join(temporaryFolder(), 'image');
    const fd = openSync(image, 'wx');
    fds.push(fd);
    const write = () => last(writeImage(fd, root, layout, { id: 1 }));
    if (refusal !== null) {
      expect(write).toThrow(`${folder}/file ${refusal}`);
      return;
    }
    write();
    check(image);
    const content = read(image, 'file');
    expect(content).toHaveLength(7);
    expect(content.subarray(0, 4).toString()).toBe('cont');
  });

  /** The manager does it for disks that are attached, and serves all VMs. */
  it('is created in short steps, however many files a folder has', () => {
    const count = 4096;
    const files = Array.from({ length: count }, (_, index) => [`the file ${index}`, '']);
    const making = folderImage(folderWith(Object.fromEntries(files)), 'fat');
    let steps = 0;
    for (let step = making.next(); ; step = making.next(), steps++) {
      if (!step.done) continue;
      fds.push(step.value.fd);
      break;
    }
    // Names are read, looked up, checked, shortened, entered and written.
    expect(steps).toBeGreaterThanOrEqual((6 * count) / 256);
  });

  it('leaves nothing open when its files do not fit', context => {
    const path = folderWith({ a: Buffer.alloc(MiB, 'content') });
    const { TMPDIR } = process.env;
    const full = dirname(imageOnFullDisk(context, temporaryFolder(), 4096));
    const before = readdirSync('/proc/self/fd').length;
    process.env.TMPDIR = full;
    try {
      expect(() => openDisk({ path, format: 'fat', readonly: true, cache: 'writeback' })).toThrow(
        `disk ${path} is a folder, and a file with its content cannot be created in ${full} (ENOSPC): set TMPDIR to a folder with room`,
      );
    } finally {
      if (TMPDIR === undefined) delete process.env.TMPDIR;
      else process.env.TMPDIR = TMPDIR;
    }
    expect(readdirSync('/proc/self/fd')).toHaveLength(before);
  });

  it('is rejected with the reason, and leaves no fd behind', () => {
    const before = readdirSync('/proc/self/fd').length;
    const refusal = (path: string, format: FolderFormat = 'fat') => {
      try {
        return openDisk({ path, format, readonly: true, cache: 'writeback' });
      } catch (error) {
        return (error as Error).message;
      }
    };
    const same = folderWith({ Makefile: '', makefile: '' });
    expect(refusal(same)).toBe(
      `${same}/makefile and Makefile differ only in case, which a FAT file system ignores: rename one of them`,
    );
    const name = folderWith({ 'a:b': '' });
    expect(refusal(name)).toBe(`${name}/a:b: a FAT file system cannot have this name: rename the file`);
    const floppy = folderWith({ a: Buffer.alloc(3 * MiB) });
    expect(refusal(floppy, 'fat-floppy')).toBe(
      `disk ${floppy} is a folder with 3M in files, which do not fit on a disk of 2880K: name a smaller folder, or make it a hard disk (format fat)`,
    );
    const large = folderWith({ a: '', b: '', c: '' });
    truncateSync(join(large, 'a'), 2 ** 32);
    expect(refusal(large)).toBe(`disk ${large}: ${large}/a has 4 GiB or nearly, which FAT cannot store`);
    for (const file of ['a', 'b', 'c']) truncateSync(join(large, file), 2 ** 31);
    expect(refusal(large)).toBe(
      `disk ${large} is a folder with more than 4G of files: name a smaller one, or put its files on an image`,
    );
    const loop = folderWith({ 'in/file': '' });
    symlinkSync('..', join(loop, 'in/up'));
    expect(refusal(loop)).toBe(`disk ${loop}: ${loop}/in/up is a link to a folder that it is in: remove it`);
    const latin = folderWith({});
    writeFileSync(Buffer.from(`${latin}/caf\xe9`, 'latin1'), '');
    expect(refusal(latin)).toBe(
      `disk ${latin}: the name of ${latin}/caf\ufffd is not UTF-8: rename the file`,
    );
    const many = folderWith({});
    for (let index = 0; index < 65536 / 21; index++)
      writeFileSync(join(many, `${index}`.padStart(255, '-')), '');
    expect(refusal(many)).toBe(
      `disk ${many}: ${many} has more names than a folder of a FAT file system, where long ones take the room of several: divide it`,
    );
    // Its size is a page, but a loopback interface has no speed.
    const unreadable = folderWith({});
    symlinkSync('/sys/class/net/lo/speed', join(unreadable, 'file'));
    expect(refusal(unreadable)).toBe(
      `${unreadable}/file cannot be read (EINVAL): make it readable, or move it out of the folder`,
    );
    expect(refusal(join(loop, 'none'))).toBe(
      `disk ${loop}/none does not exist: create the folder, or correct the path`,
    );
    expect(refusal(join(loop, 'in/file'))).toBe(
      `disk ${loop}/in/file is not a folder: leave out its format, or name the folder`,
    );
    expect(readdirSync('/proc/self/fd')).toHaveLength(before);
  });
});
