import { open } from 'node:fs/promises';

const MiB = 2 ** 20;
const DISK_BYTES = 512 * MiB;

/** A file without holes that has just been written, so its pages are cached. */
export async function makeCachedFile(path: string): Promise<void> {
  const file = await open(path, 'w');
  const block = Buffer.alloc(MiB, 'vring');
  for (let offset = 0; offset < DISK_BYTES; offset += MiB) await file.write(block);
  await file.sync();
  await file.close();
}
