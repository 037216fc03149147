import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';

export type ReplaceOptions = {
  /** Permission bits of a new file. One that is replaced keeps its owner, permissions, ACLs and security label. */
  readonly mode: number;
  /** Where the file that was there is kept. */
  readonly backup?: Backup | null;
  /** The file is replaced with all that it had: `mode` holds, and no program is started. For files that only vring writes. */
  readonly fresh?: boolean;
  /** Fails with EEXIST where there is a file already. */
  readonly exclusive?: boolean;
};

export type Backup = {
  readonly path: string;
  /** False: a backup that exists already is older, and stays. */
  readonly replace: boolean;
};

/**
 * Creates or replaces a file so that a reader, or a host that loses power, has the old text or the new one: the text is
 * written to a file of its own beside it, synced, and renamed. A link is followed. Errors carry the `code`.
 */
export function replaceFile(file: string, content: string, options: ReplaceOptions): void {
  const { mode, backup = null, fresh = false, exclusive = false } = options;
  makeFolder(path.dirname(file));
  const target = realPath(file);
  const temporary = temporaryName(target);
  try {
    const before = exclusive || fresh ? undefined : fs.statSync(target, { throwIfNoEntry: false });
    if (before !== undefined) copyAttributes(target, temporary);
    writeSynced(temporary, content, before ?? { mode });
    if (before !== undefined && backup !== null) keepBackup(target, backup);
    // Unlike a rename, a link does not replace what somebody else has just made.
    if (exclusive) fs.linkSync(temporary, target);
    else fs.renameSync(temporary, target);
  } finally {
    fs.rmSync(temporary, { force: true });
  }
  syncFolder(path.dirname(target));
}

/**
 * Removing what is not there is no error.
 * @param folder the folder of the first file too, if it is empty then
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

/** A rename is on the disk only when its folder is. */
export function syncFolder(folder: string): void {
  const fd = fs.openSync(folder, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
  try {
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}

/** Each new folder is an entry of its parent. */
function makeFolder(folder: string): void {
  const first = fs.mkdirSync(folder, { recursive: true, mode: 0o755 });
  if (first !== undefined) syncFolder(path.dirname(first));
}

/** Programs that read every file of a folder go by endings such as .conf or .yaml, and pass over hidden files. */
function temporaryName(target: string): string {
  const unique = `${process.pid}-${randomBytes(6).toString('hex')}`;
  return path.join(path.dirname(target), `.${path.basename(target)}.${unique}.new`);
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
 * Node has no calls for extended attributes, which hold ACLs and SELinux labels: cp(1) has. Without a cp that can, owner
 * and permissions are all that is kept.
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

function writeSynced(
  file: string,
  content: string,
  like: { mode: number; uid?: number; gid?: number },
): void {
  const { O_WRONLY, O_CREAT, O_NOFOLLOW, O_TRUNC } = fs.constants;
  const fd = fs.openSync(file, O_WRONLY | O_CREAT | O_NOFOLLOW | O_TRUNC, 0o600);
  try {
    // Who may not give a file away keeps it.
    if (like.uid !== undefined) ignoring(['EPERM'], () => fs.fchownSync(fd, like.uid!, like.gid!));
    fs.writeFileSync(fd, content);
    // After the write, which would take away the bits for set-id.
    fs.fchmodSync(fd, like.mode & 0o7777);
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}

/** The replaced file itself, by another name, where the file system has hard links; else a synced copy. */
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
