import fs from 'node:fs/promises';
import { codeText } from '../../text/errno.ts';

/**
 * Syncs a file or folder to disk, asynchronously: on a busy disk that takes seconds, and this process must keep serving
 * its clients. @throws in a sentence
 */
export async function synced(path: string): Promise<void> {
  const file = await fs.open(path, 'r');
  try {
    await file.sync();
  } catch (error) {
    throw explained(error as NodeJS.ErrnoException, path);
  } finally {
    await file.close();
  }
}

export function explained({ code }: NodeJS.ErrnoException, path: string): Error {
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return new Error(`there is no space left for ${path}: free some, or delete snapshots`);
  return new Error(`${path} cannot be written: ${codeText(code)}`);
}
