import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import fsp from 'node:fs/promises';
import { basename, dirname, extname, isAbsolute, join } from 'node:path';
import { makeFolders } from '../../files/make-folders.ts';
import { lockDisk } from '../../vmm/backends/disk-lock.ts';
import { backingPath } from '../../vmm/backends/image-chain.ts';
import { inspectQcow2 } from '../../vmm/native/qcow2-header.ts';
import type { JobPart } from '../../vmm/snapshot/job.ts';
import type { Manifest } from '../../vmm/snapshot/manifest.ts';
import { qemuImg } from '../images/qemu-img.ts';
import { type FileJobOptions, runFileJob } from './file-job.ts';
import { synced } from './sync.ts';

type CopyPlan = {
  /** Relative to the snapshot's folder. */
  readonly from: string;
  /** The disk as the guest knows it. */
  readonly path: string;
  /** The destination, written under a temporary name first. */
  readonly to: string;
  readonly temporary: string;
  readonly size: number;
};

/** Disks that have been copied but not put in place. */
export type RestoredDisks = {
  /** The new path of each disk, by its path in the snapshot's machine. */
  readonly paths: ReadonlyMap<string, string>;
  /** Puts them in place, replacing what was there. */
  commit(): Promise<void>;
  /** Removes the copies that are not in place. */
  discard(): Promise<void>;
};

/**
 * Copies the disks of a snapshot back to where they came from, or for another VM into a folder.
 * @param target null: the VM's own disks, which must not be in use
 * @throws DiskError naming the user of a disk; why a copy failed
 */
export async function restoreDisks(
  folder: string,
  { disks }: Manifest,
  target: { readonly folder: string; readonly vm: string } | null,
  options: FileJobOptions,
): Promise<RestoredDisks> {
  const plans: CopyPlan[] = [];
  for (const { path, size, copy } of disks) {
    if (copy === null) continue;
    const to = target === null ? realPath(path) : newPath(target.folder, target.vm, path, plans);
    const temporary = join(dirname(to), `.${basename(to)}.${randomBytes(6).toString('hex')}.restore`);
    plans.push({ from: join(folder, copy.file), path, to, temporary, size });
  }
  if (target !== null && plans.length > 0) makeFolders(target.folder, 0o700);
  const discard = async () => {
    for (const { temporary } of plans) await fsp.rm(temporary, { force: true });
  };
  const fds: number[] = [];
  try {
    const parts = plans.map(({ from, temporary, to, size }): JobPart => {
      const sourceFd = fs.openSync(from, 'r');
      fds.push(sourceFd);
      const targetFd = fs.openSync(temporary, 'wx', 0o600);
      fds.push(targetFd);
      if (target === null) likeBefore(to, targetFd);
      fs.ftruncateSync(targetFd, size);
      return { action: 'copy', sourceFd, targetFd, size, mayClone: true };
    });
    await runFileJob(
      parts,
      plans.map(({ to }) => to),
      options,
    );
    if (target !== null) for (const { temporary, path } of plans) await keepBacking(temporary, path);
    for (const { temporary } of plans) await synced(temporary);
  } catch (error) {
    await discard();
    throw error;
  } finally {
    for (const fd of fds) fs.closeSync(fd);
  }
  return {
    paths: new Map(plans.map(({ path, to }) => [path, target === null ? path : to])),
    commit: async () => {
      for (const { temporary, to } of plans) await fsp.rename(temporary, to);
      for (const folder of new Set(plans.map(({ to }) => dirname(to)))) await synced(folder);
    },
    discard,
  };
}

/** A copy in another folder keeps the backing file that its original's relative name refers to. */
async function keepBacking(copy: string, original: string): Promise<void> {
  const fd = fs.openSync(copy, 'r');
  let header: ReturnType<typeof inspectQcow2>;
  try {
    header = inspectQcow2(fd);
  } finally {
    fs.closeSync(fd);
  }
  if ('error' in header || header.backingFile === null || isAbsolute(header.backingFile)) return;
  const backing = backingPath(original, header.backingFile);
  const format = header.backingFormat === null ? [] : ['-F', header.backingFormat];
  await qemuImg(`the backing file of ${original}`, [
    'rebase',
    '-u',
    '-f',
    'qcow2',
    '-b',
    backing,
    ...format,
    copy,
  ]);
}

/** The disk to be replaced must not be in use; the new one gets its owner and its mode. */
function likeBefore(path: string, fd: number): void {
  const stats = fs.statSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return;
  const old = fs.openSync(path, fs.constants.O_RDWR | fs.constants.O_NONBLOCK);
  try {
    lockDisk(old, path, false);
  } finally {
    fs.closeSync(old);
  }
  try {
    fs.fchownSync(fd, stats.uid, stats.gid);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') throw error;
  }
  fs.fchmodSync(fd, stats.mode & 0o7777);
}

/** `web2.img`, then `web2-2.img`, with the extension of the original. @throws when the name is taken */
function newPath(folder: string, vm: string, from: string, plans: readonly CopyPlan[]): string {
  const number = plans.length === 0 ? '' : `-${plans.length + 1}`;
  const path = join(folder, `${vm}${number}${extname(from) || '.img'}`);
  if (fs.existsSync(path))
    throw new Error(
      `${path} already exists, where a disk of ${vm} would go: move it, or choose another name`,
    );
  return path;
}

/** A disk may be a symbolic link. */
function realPath(path: string): string {
  try {
    return fs.realpathSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return path;
    throw error;
  }
}
