import type { FwCfgContent } from '../../devices/firmware/fw-cfg-items.ts';
import { BootError } from './boot-error.ts';
import type { ImageFile, ImagePurpose } from './image-file.ts';

export type FileSources = {
  /** Opens a file of the host; it stays open as long as the machine exists. @throws BootError */
  readonly open: (path: string, purpose: ImagePurpose) => ImageFile;
  readonly warn: (text: string) => void;
};

/** Calls `read` on an open file, which is closed afterwards. @throws BootError */
export function withImage<T>(
  { open }: Pick<FileSources, 'open'>,
  path: string,
  purpose: ImagePurpose,
  read: (image: ImageFile) => T,
): T {
  const image = open(path, purpose);
  try {
    return read(image);
  } finally {
    image.close();
  }
}

/**
 * A file of the host as an item of fw_cfg, from byte `start` on; it is read when the guest reads it.
 * @param head replaces the file's content at its start
 * @throws BootError if it cannot be opened
 */
export function fileItem(
  path: string,
  purpose: ImagePurpose,
  sources: FileSources,
  { start = 0, head = null }: { readonly start?: number; readonly head?: Uint8Array | null } = {},
): FwCfgContent {
  return {
    size: withImage(sources, path, purpose, image => image.size) - start,
    read: (offset, target) => {
      try {
        withImage(sources, path, purpose, image => image.readInto(target, start + offset, 'content'));
      } catch (error) {
        if (!(error instanceof BootError)) throw error;
        target.fill(0);
        sources.warn(`the guest cannot read the ${purpose}: ${error.message}`);
      }
      if (head !== null && offset < head.length)
        target.set(head.subarray(offset, Math.min(head.length, offset + target.length)));
    },
  };
}
