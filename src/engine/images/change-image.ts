import { randomBytes } from 'node:crypto';
import { closeSync, constants, existsSync, openSync } from 'node:fs';
import fsp from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, relative } from 'node:path';
import { codeText } from '../../text/errno.ts';
import { lockDisk } from '../../vmm/backends/disk-lock.ts';
import type { ImageFormat, Preallocation } from './formats.ts';
import { imageFacts } from './image-info.ts';
import { ImageError, type QemuImgOptions, qemuImg } from './qemu-img.ts';

/** qemu-img's name. */
const driverOf = (format: string) => (format === 'vhd' ? 'vpc' : format);

export type Backing = { readonly path: string; readonly format: string };

/**
 * A backing file as stored in an image: relative names are resolved from the image's folder.
 * @param format default: probed. @throws ImageError
 */
export async function namedBacking(image: string, file: string, format?: string): Promise<Backing> {
  const name = isAbsolute(file) ? file : relative(dirname(image), file);
  return { path: name, format: format ?? (await imageFacts(file)).format };
}

export type NewImage = {
  readonly path: string;
  readonly format: ImageFormat;
  /** Bytes; default: the size of the backing file. */
  readonly size?: number | undefined;
  readonly backing?: Backing | undefined;
  readonly clusterSize?: number | undefined;
  readonly preallocation?: Preallocation | undefined;
};

/** Creates an image, atomically. @throws ImageError */
export async function createImage(image: NewImage, options: QemuImgOptions = {}): Promise<void> {
  const { path, format, size, backing, clusterSize, preallocation } = image;
  if (backing !== undefined && format !== 'qcow2')
    throw new ImageError(`${path}: only a qcow2 image has a backing file, not one of format ${format}`);
  if (size === undefined && backing === undefined)
    throw new ImageError(`${path} needs a size: give one, such as 20G, or a backing file`);
  await written(path, false, async temporary => {
    const plain = preallocation === undefined || preallocation === 'off';
    if (format === 'raw' && plain) {
      await fsp.truncate(temporary, size!);
      return;
    }
    const settings = [
      ...(clusterSize === undefined ? [] : [`cluster_size=${clusterSize}`]),
      ...(plain ? [] : [`preallocation=${preallocation}`]),
    ];
    const args = [
      ...['create', '-q', '-f', driverOf(format)],
      ...settings.flatMap(setting => ['-o', setting]),
      ...(backing === undefined ? [] : ['-b', backing.path, '-F', driverOf(backing.format)]),
      ...[temporary, ...(size === undefined ? [] : [String(size)])],
    ];
    await qemuImg(`creating ${path}`, args, options);
  });
}

export type Conversion = {
  readonly from: string;
  /** Default: probed. */
  readonly fromFormat?: string | undefined;
  readonly to: string;
  readonly format: ImageFormat;
  readonly compress: boolean;
  /** Replace an existing file. */
  readonly force: boolean;
};

/** Converts an image to another format; the new file appears atomically. @throws ImageError, DiskError */
export async function convertImage(conversion: Conversion, options: QemuImgOptions = {}): Promise<void> {
  const { from, to, format, compress, force } = conversion;
  const facts = await imageFacts(from, conversion.fromFormat);
  if (conversion.fromFormat === undefined && facts.backing.length > 0)
    throw new ImageError(
      `${from} looks like qcow2 with the backing file ${facts.backing[0]!.path}, a header that its guest may have written: give --from-format qcow2 if it is a qcow2 image`,
    );
  checkUnused(from, true);
  if (force && existsSync(to)) checkUnused(to, false);
  await written(to, force, temporary => {
    const args = [
      ...['convert', '-p', '-f', driverOf(facts.format), '-O', driverOf(format)],
      ...(compress ? ['-c'] : []),
      ...[from, temporary],
    ];
    return qemuImg(`converting ${from}`, args, options);
  });
}

/** Resizes the disk in an image that no VM uses. @throws ImageError, DiskError */
export async function resizeImage(
  path: string,
  { format, size, shrink }: { format?: string | undefined; size: number; shrink: boolean },
): Promise<void> {
  const facts = await imageFacts(path, format);
  if (facts.size !== null && size < facts.size && !shrink)
    throw new ImageError(
      `${path} has ${facts.size} bytes: data beyond ${size} would be lost; shrink its file systems first, then use --shrink`,
    );
  checkUnused(path, false);
  if (facts.format === 'raw' && !facts.isBlockDevice) {
    await fsp.truncate(path, size);
    return;
  }
  const args = [
    'resize',
    '-q',
    '-f',
    driverOf(facts.format),
    ...(shrink ? ['--shrink'] : []),
    path,
    String(size),
  ];
  await qemuImg(`resizing ${path}`, args);
}

export type ImageCheck = {
  readonly errors: number;
  /** Clusters that nothing refers to. */
  readonly leaks: number;
  readonly repaired: number;
};

/** Checks an image's tables for errors. @throws ImageError, DiskError */
export async function checkImage(
  path: string,
  { format, repair }: { format?: string | undefined; repair: boolean },
  options: QemuImgOptions = {},
): Promise<ImageCheck> {
  const { format: found } = await imageFacts(path, format);
  if (found === 'raw') throw new ImageError(`${path} is a raw image, which has no tables to check`);
  checkUnused(path, !repair);
  const args = ['check', '-f', driverOf(found), '--output=json', ...(repair ? ['-r', 'all'] : []), path];
  const { stdout } = await qemuImg(`checking ${path}`, args, { ...options, accepted: [2, 3] });
  const report = JSON.parse(stdout) as Record<string, number | undefined>;
  const { corruptions = 0, leaks = 0 } = report;
  const fixed = (report['corruptions-fixed'] ?? 0) + (report['leaks-fixed'] ?? 0);
  return { errors: corruptions + (report['check-errors'] ?? 0), leaks, repaired: fixed };
}

/** Changes an internal snapshot of a qcow2 image that no VM uses. @throws ImageError, DiskError */
export async function changeSnapshot(
  path: string,
  action: 'create' | 'apply' | 'delete',
  name: string,
): Promise<void> {
  const { format, snapshots } = await imageFacts(path);
  if (format !== 'qcow2') throw new ImageError(`${path} is not a qcow2 image: only those have snapshots`);
  const isThere = snapshots.some(snapshot => snapshot.name === name || snapshot.id === name);
  if (action === 'create' && isThere)
    throw new ImageError(`${path} has a snapshot named ${name} already: choose another name`);
  if (action !== 'create' && !isThere)
    throw new ImageError(
      `${path} has no snapshot named ${name}: vring image snapshot list names those that it has`,
    );
  checkUnused(path, false);
  const option = { create: '-c', apply: '-a', delete: '-d' }[action];
  await qemuImg(`the snapshot ${name} of ${path}`, ['snapshot', option, name, path]);
}

/** Writes an overlay's data to its backing file, and empties the overlay. @throws ImageError, DiskError */
export async function commitImage(path: string, options: QemuImgOptions = {}): Promise<string> {
  const { backing } = await imageFacts(path, 'qcow2');
  const [below] = backing;
  if (below === undefined) throw new ImageError(`${path} has no backing file to commit it to`);
  checkUnused(path, false);
  checkUnused(below.path, false);
  await qemuImg(`committing ${path}`, ['commit', '-p', '-f', 'qcow2', path], options);
  return below.path;
}

/**
 * Changes an overlay's backing file; null removes it. `unsafe`: changes only the name, so the contents may change.
 * @throws ImageError, DiskError
 */
export async function rebaseImage(
  path: string,
  { backing, unsafe }: { backing: Backing | null; unsafe: boolean },
  options: QemuImgOptions = {},
): Promise<void> {
  checkUnused(path, false);
  const below = backing === null ? ['-b', ''] : ['-b', backing.path, '-F', driverOf(backing.format)];
  await qemuImg(
    `rebasing ${path}`,
    ['rebase', '-p', '-f', 'qcow2', ...(unsafe ? ['-u'] : []), ...below, path],
    options,
  );
}

/**
 * A file to be changed must not be in use, nor a file to be read open for writing. @throws DiskError naming the user
 */
function checkUnused(path: string, readonly: boolean): void {
  let fd: number;
  try {
    fd = openSync(path, (readonly ? constants.O_RDONLY : constants.O_RDWR) | constants.O_NONBLOCK);
  } catch (error) {
    throw new ImageError(`${path} cannot be opened: ${codeText((error as NodeJS.ErrnoException).code)}`);
  }
  try {
    lockDisk(fd, path, readonly);
  } finally {
    closeSync(fd);
  }
}

/** Creates a file under a temporary name beside it, and renames it once complete. */
async function written(
  path: string,
  force: boolean,
  write: (temporary: string) => Promise<unknown>,
): Promise<void> {
  if (!force && existsSync(path))
    throw new ImageError(`${path} already exists: remove it, or choose another name`);
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}.new`);
  try {
    await (await fsp.open(temporary, 'wx', 0o600)).close();
  } catch (error) {
    throw new ImageError(`${path} cannot be created: ${codeText((error as NodeJS.ErrnoException).code)}`);
  }
  try {
    await write(temporary);
    if (!force && existsSync(path))
      throw new ImageError(`${path} was created by another process in the meantime: choose another name`);
    await fsp.rename(temporary, path);
  } catch (error) {
    await fsp.rm(temporary, { force: true });
    throw error;
  }
}
