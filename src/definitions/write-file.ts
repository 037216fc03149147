import fs from 'node:fs';
import { replaceFile, syncFolder } from '../files/replace-file.ts';
import { backupOf, codeOf, DefinitionFileError, fileOf, reason, refuseLinkOut } from './files.ts';

/**
 * Writes a definition so that a reader, or a host that loses power, has the old text or the new one; the old file is kept as
 * `NAME.yaml~`, its owner and permissions are the new one's. @throws DefinitionFileError
 */
export function writeFile(folder: string, name: string, text: string, replace: boolean): void {
  const file = fileOf(folder, name);
  try {
    const exists = replace && fs.lstatSync(file, { throwIfNoEntry: false }) !== undefined;
    if (exists) refuseLinkOut(folder, file);
    replaceFile(file, text, {
      mode: 0o600,
      backup: { path: backupOf(file), replace: true },
      exclusive: !exists,
    });
  } catch (error) {
    if (error instanceof DefinitionFileError) throw error;
    if (codeOf(error) === 'EEXIST')
      throw new DefinitionFileError(
        `there is a definition of ${name} already, ${file}: edit that one, or choose another name`,
      );
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
