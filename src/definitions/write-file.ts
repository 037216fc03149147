import fs from 'node:fs';
import { replaceFile, syncFolder } from '../files/replace-file.ts';
import { backupOf, codeOf, DefinitionFileError, fileOf, reason, refuseLinkOut } from './files.ts';

/**
 * Writes a definition atomically: a reader, or a host that loses power, has the old text or the new one. The old file
 * is kept as `NAME.yaml~`, and the new one gets its owner and permissions. @throws DefinitionFileError
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
        `${name} already has a definition, ${file}: edit it, or choose another name`,
      );
    throw new DefinitionFileError(`${file} cannot be written: ${reason(error, folder)}`);
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
    throw new DefinitionFileError(`${file} cannot be deleted: ${reason(error, folder)}`);
  }
}
