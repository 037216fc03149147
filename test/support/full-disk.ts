import { execFileSync } from 'node:child_process';
import { closeSync, ftruncateSync, mkdirSync, openSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { onTestFinished, type TestContext } from 'vitest';

/**
 * A sparse disk image of `size` bytes on a tmpfs that is too small for its content: writes fail with ENOSPC. Skips the
 * test if this user may not mount one.
 */
export function imageOnFullDisk(context: TestContext, parent: string, size: number): string {
  const folder = join(parent, 'full');
  mkdirSync(folder);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', folder], { stdio: 'pipe' });
  } catch (error) {
    context.skip(`no tmpfs can be mounted: ${String((error as { stderr?: unknown }).stderr).trim()}`);
  }
  onTestFinished(() => {
    execFileSync('umount', ['--lazy', folder]);
  });
  const image = join(folder, 'disk.img');
  const fd = openSync(image, 'w');
  ftruncateSync(fd, size);
  closeSync(fd);
  const { bavail, bsize } = statfsSync(folder);
  writeFileSync(join(folder, 'filler'), Buffer.alloc(bavail * bsize));
  return image;
}
