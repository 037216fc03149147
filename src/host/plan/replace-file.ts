import fs from 'node:fs/promises';
import path from 'node:path';

/**
 * Creates or replaces a file so that a reader, or a host that loses power, has the old text or the new one. An
 * existing file keeps its owner and permissions; a link is followed.
 * @param file on this machine
 * @param backup where the file that was there is kept; a backup that exists already is older and stays
 */
export async function replaceFile(
  file: string,
  content: string,
  mode: number,
  backup: string | null,
): Promise<void> {
  await fs.mkdir(path.dirname(file), { recursive: true });
  const target = await fs.realpath(file).catch(() => file);
  const before = await fs.stat(target).catch(() => null);
  if (before && backup !== null) await keepBackup(target, backup);
  const temporary = `${target}.vring-new`;
  try {
    const handle = await fs.open(temporary, 'w', mode);
    try {
      if (before) {
        await handle.chown(before.uid, before.gid);
        await handle.chmod(before.mode & 0o7777);
      }
      await handle.writeFile(content);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await fs.rename(temporary, target);
  } catch (error) {
    await fs.rm(temporary, { force: true });
    throw error;
  }
  await syncDirectory(path.dirname(target));
}

/**
 * Removing what is not there is no error.
 * @param directory the directory of the first one too, if it is empty then
 */
export async function removeFiles(files: readonly string[], directory: boolean): Promise<void> {
  for (const file of files) await fs.rm(file, { force: true });
  const parents = new Set(files.map(file => path.dirname(file)));
  for (const parent of parents) await syncDirectory(parent).catch(ignoreMissing);
  if (directory && files[0] !== undefined) await fs.rmdir(path.dirname(files[0])).catch(ignoreInUse);
}

function ignoreMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error;
}

function ignoreInUse(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT' && error.code !== 'ENOTEMPTY') throw error;
}

async function keepBackup(file: string, backup: string): Promise<void> {
  try {
    await fs.copyFile(file, backup, fs.constants.COPYFILE_EXCL);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}

/** A rename is on the disk only when its directory is. */
async function syncDirectory(directory: string): Promise<void> {
  const handle = await fs.open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
