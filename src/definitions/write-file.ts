import fs from 'node:fs';
import path from 'node:path';
import { backupOf, codeOf, DefinitionFileError, fileOf, reason, refuseLinkOut } from './files.ts';

/**
 * Writes a definition so that a reader, or a host that loses power, has the old text or the new one; the old file is kept as
 * `NAME.yaml~`, its owner and permissions are the new one's. @throws DefinitionFileError
 */
export function writeFile(folder: string, name: string, text: string, replace: boolean): void {
  const file = fileOf(folder, name);
  const temporary = path.join(folder, `.${name}.${process.pid}.new`);
  try {
    fs.mkdirSync(folder, { recursive: true, mode: 0o755 });
    writeSynced(temporary, text, replace ? fs.statSync(file, { throwIfNoEntry: false }) : undefined);
    try {
      if (replace && keepBackup(folder, file)) fs.renameSync(temporary, file);
      // Unlike a rename, this does not replace what somebody else has just made.
      else linkNew(temporary, file, name);
    } finally {
      fs.rmSync(temporary, { force: true });
    }
    syncFolder(folder);
  } catch (error) {
    if (error instanceof DefinitionFileError) throw error;
    throw new DefinitionFileError(`${file} can't be written: ${reason(error, folder)}`);
  }
}

/** The file is kept as `NAME.yaml~`. @throws DefinitionFileError */
export function removeFile(folder: string, name: string): void {
  const file = fileOf(folder, name);
  try {
    fs.renameSync(file, backupOf(file));
    syncFolder(folder);
  } catch (error) {
    if (codeOf(error) === 'ENOENT')
      throw new DefinitionFileError(`there is no definition of ${name}: ${file} does not exist`);
    throw new DefinitionFileError(`${file} can't be deleted: ${reason(error, folder)}`);
  }
}

function writeSynced(file: string, text: string, like: fs.Stats | undefined): void {
  fs.rmSync(file, { force: true });
  const fd = fs.openSync(file, 'wx', 0o600);
  try {
    if (like !== undefined) makeLike(fd, like);
    fs.writeFileSync(fd, text);
    fs.fsyncSync(fd);
  } catch (error) {
    fs.rmSync(file, { force: true });
    throw error;
  } finally {
    fs.closeSync(fd);
  }
}

/** Gives it the owner and the permissions of another one. Who may not give it away keeps it. */
function makeLike(fd: number, { uid, gid, mode }: fs.Stats): void {
  try {
    fs.fchownSync(fd, uid, gid);
  } catch (error) {
    if (codeOf(error) !== 'EPERM') throw error;
  }
  fs.fchmodSync(fd, mode & 0o777);
}

/** @throws DefinitionFileError when there is one already */
function linkNew(temporary: string, file: string, name: string): void {
  try {
    fs.linkSync(temporary, file);
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error;
    throw new DefinitionFileError(
      `there is a definition of ${name} already, ${file}: edit that one, or choose another name`,
    );
  }
}

/** @returns whether there was a file */
function keepBackup(folder: string, file: string): boolean {
  if (fs.lstatSync(file, { throwIfNoEntry: false }) === undefined) return false;
  refuseLinkOut(folder, file);
  fs.rmSync(backupOf(file), { force: true });
  fs.linkSync(fs.realpathSync(file), backupOf(file));
  return true;
}

/** A rename is on the disk only when its folder is. */
function syncFolder(folder: string): void {
  const fd = fs.openSync(folder, 'r');
  try {
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}
