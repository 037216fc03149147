import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { randomHex } from '../text/random-hex.ts';
import { makeFolders } from './make-folders.ts';

export type ReplaceOptions = {
  /** Permission bits of a new file. A replaced file keeps its owner, permissions, ACLs and security label. */
  readonly mode: number;
  /** Where to keep the previous file. */
  readonly backup?: Backup | null;
  /** Don't keep attributes of the previous file: use `mode`, and start no program. For files that only vring writes. */
  readonly fresh?: boolean;
  /** False: a power loss may leave an empty or old file. For files that are meaningless then. Default: true. */
  readonly synced?: boolean;
  /** Fails with EEXIST if the file exists. */
  readonly exclusive?: boolean;
};

export type Backup = {
  readonly path: string;
  /** False: keep an existing backup, which is older. */
  readonly replace: boolean;
};

/**
 * Creates or replaces a file atomically: after a crash or power loss there is either the old text or the new one. The text
 * is written to a temporary file next to it, synced, and renamed. Follows symbolic links. Errors have a `code`.
 */
export function replaceFile(file: string, content: string | Uint8Array, options: ReplaceOptions): void {
  const { mode, backup = null, fresh = false, exclusive = false, synced = true } = options;
  makeFolder(path.dirname(file));
  const target = realPath(file);
  const temporary = temporaryName(target);
  removeLeftovers(path.dirname(target));
  try {
    const there = fs.statSync(target, { throwIfNoEntry: false });
    if (there !== undefined && !there.isFile() && !exclusive) throw notAFile(target);
    const before = exclusive || fresh ? undefined : there;
    if (before !== undefined) copyAttributes(target, temporary);
    write(temporary, content, before ?? { mode }, synced);
    if (before !== undefined && backup !== null) keepBackup(target, backup);
    // Unlike a rename, a link doesn't replace a file that another process has just created.
    if (exclusive) fs.linkSync(temporary, target);
    else fs.renameSync(temporary, target);
  } finally {
    fs.rmSync(temporary, { force: true });
  }
  if (synced) syncFolder(path.dirname(target));
}

/**
 * Removes files. Missing files are not an error.
 * @param folder also remove the folder of the first file if it's then empty
 */
export function removeFiles(files: readonly string[], folder: boolean): void {
  for (const file of files) fs.rmSync(file, { force: true });
  for (const parent of new Set(files.map(file => path.dirname(file)))) {
    ignoring(['ENOENT'], () => syncFolder(parent));
  }
  const [first] = files;
  if (folder && first !== undefined)
    ignoring(['ENOENT', 'ENOTEMPTY'], () => fs.rmdirSync(path.dirname(first)));
}

/** A rename is only durable once its folder is synced. */
export function syncFolder(folder: string): void {
  const fd = fs.openSync(folder, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
  try {
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}

/** Each new folder is an entry in its parent, which must be synced. */
function makeFolder(folder: string): void {
  const first = makeFolders(folder, 0o755);
  if (first !== undefined) syncFolder(path.dirname(first));
}

/** A rename would put the file in the place of a device, a FIFO or a socket that others use. */
function notAFile(target: string): Error {
  return Object.assign(new Error(`${target} is not a regular file`), { code: 'EINVAL' });
}

/** Programs that read all files of a folder match suffixes such as .conf or .yaml, and skip hidden files. */
function temporaryName(target: string): string {
  const unique = `${process.pid}-${randomHex(6)}`;
  return path.join(path.dirname(target), `.${path.basename(target)}.${unique}.new`);
}

const TEMPORARY_NAME = /^\..+\.(\d+)-[0-9a-f]{12}\.new$/;
/** On a network file system, the process may run on another host: allow for the duration of a replacement. */
const LEFT_AFTER_MS = 60_000;

/** Removes temporary files of processes that were killed during a replacement. */
function removeLeftovers(folder: string): void {
  // A file that can't be removed does no harm.
  ignoring(HARMLESS, () => {
    for (const name of fs.readdirSync(folder)) {
      const pid = Number(TEMPORARY_NAME.exec(name)?.[1] ?? 0);
      if (pid === 0 || runs(pid)) continue;
      const file = path.join(folder, name);
      ignoring(HARMLESS, () => {
        const stats = fs.lstatSync(file);
        // A time in the future is from before the clock was set back.
        const age = Math.abs(Date.now() - stats.mtimeMs);
        if (stats.isFile() && age > LEFT_AFTER_MS) fs.rmSync(file, { force: true });
      });
    }
  });
}

const HARMLESS = ['ENOENT', 'EACCES', 'EPERM', 'EROFS'];

function runs(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return codeOf(error) !== 'ESRCH';
  }
}

function realPath(file: string): string {
  try {
    return fs.realpathSync(file);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
    return file;
  }
}

/**
 * Node can't access extended attributes, which hold ACLs and SELinux labels, but cp(1) can. Without a suitable cp, only
 * owner and permissions are kept.
 */
function copyAttributes(from: string, to: string): void {
  try {
    execFileSync('cp', ['--attributes-only', '--preserve=all', '--no-clobber', '--', from, to], {
      stdio: 'ignore',
    });
  } catch {
    fs.rmSync(to, { force: true });
  }
}

function write(
  file: string,
  content: string | Uint8Array,
  like: { mode: number; uid?: number; gid?: number },
  synced: boolean,
): void {
  const { O_WRONLY, O_CREAT, O_NOFOLLOW, O_TRUNC } = fs.constants;
  const fd = fs.openSync(file, O_WRONLY | O_CREAT | O_NOFOLLOW | O_TRUNC, 0o600);
  try {
    // Without permission to change the owner, keep ours.
    if (like.uid !== undefined) ignoring(['EPERM'], () => fs.fchownSync(fd, like.uid!, like.gid!));
    fs.writeFileSync(fd, content);
    // After the write, which would clear the set-ID bits.
    fs.fchmodSync(fd, like.mode & 0o7777);
    if (synced) fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}

/** A hard link to the replaced file if the file system supports that; else a synced copy. */
function keepBackup(target: string, backup: Backup): void {
  if (backup.replace) fs.rmSync(backup.path, { force: true });
  try {
    fs.linkSync(target, backup.path);
  } catch (error) {
    const code = codeOf(error);
    if (code === 'EEXIST') return;
    if (!['EPERM', 'EOPNOTSUPP', 'EXDEV', 'EMLINK', 'ENOSYS'].includes(code)) throw error;
    if (!fs.existsSync(backup.path)) copySynced(target, backup.path);
  }
}

function copySynced(from: string, to: string): void {
  const temporary = temporaryName(to);
  try {
    fs.copyFileSync(from, temporary, fs.constants.COPYFILE_EXCL);
    const fd = fs.openSync(temporary, 'r+');
    try {
      fs.fsyncSync(fd);
    } finally {
      fs.closeSync(fd);
    }
    fs.renameSync(temporary, to);
  } finally {
    fs.rmSync(temporary, { force: true });
  }
}

function ignoring(codes: readonly string[], action: () => void): void {
  try {
    action();
  } catch (error) {
    if (!codes.includes(codeOf(error))) throw error;
  }
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? '';
}
