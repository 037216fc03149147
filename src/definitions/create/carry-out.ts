import fs from 'node:fs';
import path from 'node:path';
import { makeFolders } from '../../files/make-folders.ts';
import { sizeText } from '../../text/size.ts';
import { copyFile, createQcow2, fillDisk } from './fill-disk.ts';
import { CreateError } from './image-info.ts';
import type { CreateStep, NewVmPlan } from './plan.ts';
import { makeSeedImage } from './seed-image.ts';

export type CarryOutOptions = {
  /** Saves the definition, after all steps; if it throws, the files they created are removed. */
  readonly save: (name: string, text: string) => Promise<void> | void;
  /** The current step, and its progress from 0 to 1. */
  readonly progress?: (step: CreateStep, share: number) => void;
  readonly signal?: AbortSignal;
};

/** What prevents a plan from being carried out, and what the user should know beforehand. */
export type PlanCheck = { readonly problems: readonly string[]; readonly warnings: readonly string[] };

/** Checks the files that a plan creates or needs. Changes nothing. */
export function checkPlan({ steps, definition }: NewVmPlan): PlanCheck {
  const problems: string[] = [];
  const warnings: string[] = [];
  const { kernel, initrd } = definition.machine;
  for (const file of [kernel, initrd]) {
    if (file !== undefined && !fs.existsSync(file)) problems.push(`${file} does not exist: correct the path`);
  }
  let needed = 0;
  for (const step of steps) {
    if (fs.existsSync(step.file))
      problems.push(`${step.file} already exists: choose another name, or move it away`);
    if (step.kind === 'fill') needed += allocated(step.from.file);
  }
  const [first] = steps;
  const free = first === undefined ? null : freeBytes(path.dirname(first.file));
  if (free !== null) {
    const folder = path.dirname(first!.file);
    const most = steps.reduce((sum, step) => sum + (step.kind === 'seed' ? 0 : step.size), 0);
    const left = `${sizeText(rounded(free))} free`;
    if (needed > free)
      problems.push(
        `${folder} has ${left}, and the image needs ${sizeText(rounded(needed))}: free some space`,
      );
    else if (most > free)
      warnings.push(`${folder} has ${left}, less than the disk may grow to, ${sizeText(most)}`);
  }
  return { problems, warnings };
}

/**
 * Creates the files of a new VM and saves its definition. If anything fails or is aborted, the created files are
 * removed.
 * @throws CreateError, or what `save` throws
 */
export async function carryOut(plan: NewVmPlan, options: CarryOutOptions): Promise<void> {
  const { problems } = checkPlan(plan);
  if (problems.length > 0) throw new CreateError(problems.join('; '));
  const made: string[] = [];
  try {
    for (const step of plan.steps) {
      options.signal?.throwIfAborted();
      options.progress?.(step, 0);
      reserve(step.file, made);
      await perform(step, options);
      options.progress?.(step, 1);
    }
    await options.save(plan.definition.name, plan.text);
  } catch (error) {
    for (const file of made.toReversed()) removeMade(file);
    throw describe(error, made.at(-1));
  }
}

async function perform(step: CreateStep, { progress, signal }: CarryOutOptions): Promise<void> {
  switch (step.kind) {
    case 'disk':
      return fs.truncateSync(step.file, step.size);
    case 'qcow2':
      return createQcow2(step.file, step.size, step.backing, signal);
    case 'fill':
      return fillDisk(step.file, step.from, step.size, (done, all) => progress?.(step, done / all), signal);
    case 'copy':
      return copyFile(step.from, step.file, step.size, (done, all) => progress?.(step, done / all), signal);
    case 'seed':
      return makeSeedImage(step.file, step.files, signal);
  }
}

/** Creates an empty file and its folder; never replaces a file that another program has created in the meantime. */
function reserve(file: string, made: string[]): void {
  const folder = path.dirname(file);
  const first = makeFolders(folder, 0o700);
  if (first !== undefined) made.push(...foldersFrom(first, folder));
  fs.closeSync(fs.openSync(file, 'wx', 0o600));
  made.push(file);
}

/** `/a/b` and `/a/b/c`: the folders between an ancestor and a descendant. */
function foldersFrom(first: string, last: string): string[] {
  return first === last ? [last] : [...foldersFrom(first, path.dirname(last)), last];
}

/** A folder is removed only if no other program has put anything into it. */
function removeMade(file: string): void {
  if (fs.statSync(file, { throwIfNoEntry: false })?.isDirectory()) {
    if (fs.readdirSync(file).length === 0) fs.rmdirSync(file);
  } else {
    fs.rmSync(file, { force: true });
  }
}

/** @param current the file being written: not every error names one */
function describe(error: unknown, current: string | undefined): unknown {
  const { code, path: file = current } = error as NodeJS.ErrnoException;
  switch (code) {
    case 'EEXIST':
      return new CreateError(`${file} already exists: choose another name, or move it away`);
    case 'ENOSPC':
    case 'EDQUOT':
      return new CreateError(
        `${file} cannot be written: its file system is full: free some space, then try again; the files created so far were removed`,
      );
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return new CreateError(
        `${file} cannot be created: ${code === 'EROFS' ? 'its file system is read-only' : 'permission denied'}: set VRING_STATE_DIR to another folder`,
      );
    case 'EFBIG':
      return new CreateError('the disk is larger than its file system allows: choose a smaller size');
    default:
      return error;
  }
}

/** Allocated bytes, which for a sparse file are fewer than its size. */
function allocated(file: string): number {
  const { size, blocks } = fs.statSync(file);
  return Math.min(size, blocks * 512);
}

/** Free bytes where a folder is, or would be created; null if unknown. */
function freeBytes(folder: string): number | null {
  let there = folder;
  while (!fs.existsSync(there) && path.dirname(there) !== there) there = path.dirname(there);
  try {
    const { bavail, bsize } = fs.statfsSync(there);
    return bavail * bsize;
  } catch {
    return null;
  }
}

/** Rounded down to whole MiB; below one MiB, to whole KiB. */
function rounded(bytes: number): number {
  const unit = bytes < 2 ** 20 ? 2 ** 10 : 2 ** 20;
  return Math.floor(bytes / unit) * unit;
}
