import { execFileSync } from 'node:child_process';
import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { onTestFinished, type TestContext } from 'vitest';
import { temporaryFolder } from './temporary-folder.ts';

const MiB = 2 ** 20;

/** A disk image on a file system that a test can freeze: writes then block in the kernel, uninterruptibly. */
export type FrozenDisk = { readonly image: string; freeze(): void; thaw(): void };

/** Makes an image of `size` bytes. Skips the test if this user may not mount file systems. */
export function freezableImage(context: TestContext, size: number): FrozenDisk {
  const [store, folder] = [join(temporaryFolder(), 'store.img'), temporaryFolder()];
  const run = (command: string, ...args: string[]) => execFileSync(command, args, { stdio: 'pipe' });
  writeFileSync(store, '');
  truncateSync(store, 32 * MiB);
  try {
    run('mkfs.ext4', '-q', store);
    run('mount', '-o', 'loop', store, folder);
  } catch (error) {
    context.skip(`no file system can be mounted: ${(error as Error).message}`);
  }
  let frozen = false;
  const thaw = () => {
    if (frozen) run('fsfreeze', '--unfreeze', folder);
    frozen = false;
  };
  onTestFinished(() => {
    thaw();
    run('umount', '--lazy', folder);
  });
  const image = join(folder, 'disk.img');
  writeFileSync(image, Buffer.alloc(size));
  const freeze = () => {
    run('fsfreeze', '--freeze', folder);
    frozen = true;
  };
  return { image, freeze, thaw };
}
