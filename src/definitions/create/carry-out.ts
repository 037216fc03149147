import fs from 'node:fs';
import path from 'node:path';
import { sizeText } from '../../text/size.ts';
import { copyFile, fillDisk } from './fill-disk.ts';
import { CreateError } from './image-info.ts';
import type { CreateStep, NewVmPlan } from './plan.ts';
import { makeSeedImage } from './seed-image.ts';

export type CarryOutOptions = {
  /** Saves the definition, after all steps; when it throws, what they made is removed. */
  readonly save: (name: string, text: string) => Promise<void> | void;
  /** The step that is being done, and its share from 0 to 1. */
  readonly progress?: (step: CreateStep, share: number) => void;
  readonly signal?: AbortSignal;
};

/** What would keep a plan from being carried out, and what is good to know before. */
export type PlanCheck = { readonly problems: readonly string[]; readonly warnings: readonly string[] };

/** Looks at the files that a plan makes or needs. Nothing is changed. */
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
      problems.push(`${step.file} exists already: choose another name, or move it away`);
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
        `${folder} has ${left}, and the image takes ${sizeText(rounded(needed))}: free some space`,
      );
    else if (most > free)
      warnings.push(`${folder} has ${left}, less than the disk may grow to, ${sizeText(most)}`);
  }
  return { problems, warnings };
}

/**
 * Makes the files of a new VM, and saves its definition. When anything fails, or is aborted, what was made is removed.
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
    throw describe(error);
  }
}

async function perform(step: CreateStep, { progress, signal }: CarryOutOptions): Promise<void> {
  switch (step.kind) {
    case 'disk':
      return fs.truncateSync(step.file, step.size);
    case 'fill':
      return fillDisk(step.file, step.from, step.size, (done, all) => progress?.(step, done / all), signal);
    case 'copy':
      return copyFile(step.from, step.file, step.size, (done, all) => progress?.(step, done / all), signal);
    case 'seed':
      return makeSeedImage(step.file, step.files, signal);
  }
}

/** Makes an empty file, and the folder that it is in; what somebody else has made meanwhile stays. */
function reserve(file: string, made: string[]): void {
  const folder = path.dirname(file);
  const first = fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
  if (first !== undefined) made.push(...foldersFrom(first, folder));
  fs.closeSync(fs.openSync(file, 'wx', 0o600));
  made.push(file);
}

/** `/a/b` and `/a/b/c`: the folders from one above to one below it. */
function foldersFrom(first: string, last: string): string[] {
  return first === last ? [last] : [...foldersFrom(first, path.dirname(last)), last];
}

/** Of folders, only those that nobody else has put anything into. */
function removeMade(file: string): void {
  if (fs.statSync(file, { throwIfNoEntry: false })?.isDirectory()) {
    if (fs.readdirSync(file).length === 0) fs.rmdirSync(file);
  } else {
    fs.rmSync(file, { force: true });
  }
}

function describe(error: unknown): unknown {
  const { code, path: file } = error as NodeJS.ErrnoException;
  switch (code) {
    case 'EEXIST':
      return new CreateError(`${file} exists already: choose another name, or move it away`);
    case 'ENOSPC':
    case 'EDQUOT':
      return new CreateError(
        'no space is left for the disk: free some, then try again; what was made is removed',
      );
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return new CreateError(
        `${file} can't be made: ${code === 'EROFS' ? 'its file system is read-only' : 'permission denied'}: set VRING_STATE_DIR to another folder`,
      );
    case 'EFBIG':
      return new CreateError('the disk is larger than its file system takes: give it a smaller size');
    default:
      return error;
  }
}

/** Bytes on the disk, which for a sparse file are less than its size. */
function allocated(file: string): number {
  const { size, blocks } = fs.statSync(file);
  return Math.min(size, blocks * 512);
}

/** Free bytes where a folder is, or would be made; null where that can't be told. */
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

/** Down to whole MiB, and what is less than one to whole KiB. */
function rounded(bytes: number): number {
  const unit = bytes < 2 ** 20 ? 2 ** 10 : 2 ** 20;
  return Math.floor(bytes / unit) * unit;
}
