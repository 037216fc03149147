import { closeSync, openSync } from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';
import { socketPair } from '../../vmm/native/libc.ts';
import { FILES } from '../../vmm/snapshot/files.ts';
import { describeFailure, Job, type JobPart } from '../../vmm/snapshot/job.ts';
import type { Manifest } from '../../vmm/snapshot/manifest.ts';

const REPORT_MS = 100;

export type FileJobOptions = {
  /** Cancels it. */
  readonly signal?: AbortSignal | undefined;
  readonly progress?: ((done: number, total: number) => void) | undefined;
};

/**
 * Copies or verifies files on a native thread. @param names of the parts, for the error
 * @throws with the failure, in a sentence
 */
export async function runFileJob(
  parts: readonly JobPart[],
  names: readonly string[],
  { signal, progress }: FileJobOptions = {},
): Promise<void> {
  if (parts.length === 0) return;
  signal?.throwIfAborted();
  const [ours, theirs] = socketPair();
  const socket = new Socket({ fd: ours });
  let job: Job;
  try {
    job = new Job(parts, theirs);
  } finally {
    closeSync(theirs);
  }
  const cancel = () => job.cancel();
  signal?.addEventListener('abort', cancel);
  const timer = setInterval(() => progress?.(job.report.done, job.total), REPORT_MS);
  try {
    await new Promise<void>(resolve => {
      socket.once('data', () => resolve());
      socket.once('close', () => resolve());
    });
    signal?.throwIfAborted();
    const { failure } = job.report;
    if (failure !== null) throw new Error(describeFailure(failure, names[failure.part] ?? 'a file'));
  } finally {
    clearInterval(timer);
    signal?.removeEventListener('abort', cancel);
    job.free();
    socket.destroy();
  }
}

/**
 * Verifies files of a snapshot against their checksums. @param files their names. @throws naming the first that is
 * damaged
 */
export async function verifyFiles(
  folder: string,
  manifest: Manifest,
  files: readonly string[],
  options: FileJobOptions = {},
): Promise<void> {
  const fds: number[] = [];
  const open = (name: string) => {
    const fd = openSync(join(folder, name), 'r');
    fds.push(fd);
    return fd;
  };
  try {
    const parts = files.map((file): JobPart => {
      const size =
        file === FILES.ram ? manifest.ram.bytes : manifest.disks.find(disk => disk.copy?.file === file)!.size;
      return { action: 'verify', sourceFd: open(file), sumsFd: open(sumsOf(file)), size };
    });
    await runFileJob(parts, files, options);
  } finally {
    for (const fd of fds) closeSync(fd);
  }
}

/** The checksum file of a file. */
export function sumsOf(file: string): string {
  return file === FILES.ram ? FILES.ramSums : file.replace(/\.img$/, '.sums');
}
