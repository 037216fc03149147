import { closeSync } from 'node:fs';
import type { FolderFormat } from '../../../devices/backends/disk.ts';
import { sha256 } from '../../../text/sha256.ts';
import { openTemporary, temporaryError } from '../temporary-file.ts';
import { scanFolder } from './folder.ts';
import { layOut, writeImage } from './image.ts';

/**
 * Copies the files of a folder to a FAT file system in a temporary file.
 * @returns its fd and the bytes of the disk
 * @throws DiskError
 */
export function* folderImage(
  path: string,
  format: FolderFormat,
  label?: string,
): Generator<void, { readonly fd: number; readonly size: number }> {
  const root = yield* scanFolder(path);
  const layout = layOut(root, format, path);
  const what = `disk ${path} is a folder, and a file with its content`;
  const fd = openTemporary(what, () => {});
  try {
    // The same at each start: guests find disks by it.
    yield* writeImage(fd, root, layout, { id: sha256(path).readUInt32LE(), label });
    return { fd, size: layout.size };
  } catch (error) {
    closeSync(fd);
    throw temporaryError(what, error);
  }
}
