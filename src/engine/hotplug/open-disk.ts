import { open, stat } from 'node:fs/promises';
import { setImmediate } from 'node:timers/promises';
import type { DiskOptions } from '../../devices/backends/disk.ts';
import { type DeviceConfig, deviceTable } from '../../devices/registry.ts';
import { DiskError } from '../../vmm/backends/disk-error.ts';
import { checkDisk, fdsOf, openInSteps } from '../../vmm/backends/open-disk.ts';
import { type DiskFacts, diskFacts } from '../../vmm/machine/messages.ts';

/** How long a file system may take to open a file. */
const OPENS_WITHIN_MS = 5000;

/**
 * Opens and locks a disk for a machine, whose process is confined. The caller closes the fds.
 * @throws DiskError
 */
export async function openDiskFor(
  options: DiskOptions,
): Promise<{ readonly fds: readonly number[]; readonly facts: DiskFacts }> {
  await answers(options.path);
  const steps = openInSteps(options);
  let step = steps.next();
  for (; !step.done; step = steps.next()) await setImmediate();
  const disk = step.value;
  return { fds: fdsOf(disk), facts: diskFacts(disk) };
}

/** Checks the disk of a device that only a definition gets. @throws DiskError */
export async function checkDiskOf(device: DeviceConfig): Promise<void> {
  const options = deviceTable.disk(device);
  if (options === null) return;
  await answers(options.path);
  checkDisk(options);
}

/**
 * Fails on a file system that hangs: this process serves all VMs and must not wait. `openInSteps` finds all other errors.
 * @throws DiskError
 */
async function answers(path: string): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new DiskError(`disk ${path} cannot be opened: its file system does not answer`)),
      OPENS_WITHIN_MS,
    );
  });
  try {
    await Promise.race([opened(path), late]);
  } finally {
    clearTimeout(timer);
  }
}

async function opened(path: string): Promise<void> {
  try {
    if ((await stat(path)).isFile()) await (await open(path, 'r')).close();
  } catch {}
}
