import { closeSync, openSync, readFileSync, statSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import * as libc from '../../../src/vmm/native/libc.ts';
import { waitForFds } from '../../../src/vmm/native/unix-socket.ts';
import {
  CHUNK_BYTES,
  describeFailure,
  Job,
  type JobPart,
  type JobReport,
  MAX_RANGES,
} from '../../../src/vmm/snapshot/job.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const PAGE = 4096;
const folder = temporaryFolder();

function file(name: string, size: number, contents: Readonly<Record<number, Uint8Array>> = {}): number {
  const path = join(folder, name);
  writeFileSync(path, '');
  truncateSync(path, size);
  const fd = openSync(path, 'r+');
  for (const [at, bytes] of Object.entries(contents)) writeSync(fd, bytes, 0, bytes.length, Number(at));
  return fd;
}

const contentOf = (name: string) => readFileSync(join(folder, name));

/** Runs a job to its end. */
function run(parts: readonly JobPart[], bytes?: Uint8Array): JobReport {
  const ended = libc.eventfd(0);
  const job = new Job(parts, ended, 0, bytes);
  try {
    expect(waitForFds([{ fd: ended }], 10_000)).toEqual([ended]);
    return job.report;
  } finally {
    job.free();
    closeSync(ended);
  }
}

describe('a job', () => {
  it('copies a file sparsely, with checksums that pass verification', () => {
    const size = 3 * CHUNK_BYTES + PAGE;
    const source = file('source', size, {
      0: new Uint8Array([1, 2, 3]),
      [2 * CHUNK_BYTES]: new Uint8Array(2 * PAGE).fill(9),
      [CHUNK_BYTES]: new Uint8Array(CHUNK_BYTES),
    });
    const target = file('target', size);
    const sums = file('sums', 0);
    const state = file('state', 0);
    const report = run(
      [
        { action: 'write', targetFd: state, size: 5 },
        { action: 'copy', sourceFd: source, targetFd: target, sumsFd: sums, size },
      ],
      Buffer.from('state'),
    );
    expect(report).toMatchObject({ failure: null, ended: true, done: size + 5, written: 3 * PAGE + 5 });
    expect(report.cloned(1)).toBe(false);
    expect(contentOf('state').toString()).toBe('state');
    expect(contentOf('target').equals(contentOf('source'))).toBe(true);
    expect(contentOf('sums').length).toBe(16);
    expect(statSync(join(folder, 'target')).blocks * 512).toBeLessThan(CHUNK_BYTES);

    const verify: JobPart = { action: 'verify', sourceFd: target, sumsFd: sums, size };
    expect(run([verify]).failure).toBeNull();
    writeSync(target, new Uint8Array([9]), 0, 1, 2 * CHUNK_BYTES - 1);
    const { failure } = run([verify]);
    expect(failure).toEqual({ kind: 'different', part: 0, offset: CHUNK_BYTES, code: 'EBADMSG' });
    expect(describeFailure(failure!, 'ram')).toContain('damaged or was edited');
  });

  it('reports errors of the file system in words for the user', () => {
    const source = file('some', CHUNK_BYTES, { 0: new Uint8Array([1]) });
    const full = openSync('/dev/full', 'w');
    const { failure } = run([{ action: 'copy', sourceFd: source, targetFd: full, size: CHUNK_BYTES }]);
    expect(failure).toEqual({ kind: 'write', part: 0, offset: 0, code: 'ENOSPC' });
    expect(describeFailure(failure!, 'ram')).toContain('no space left');
    closeSync(full);
  });

  it('ends when it is canceled, and can be forgotten while it runs', () => {
    const size = 2 ** 40;
    const source = file('huge', size);
    const target = file('huge-target', size);
    const ended = libc.eventfd(0);
    const parts: JobPart[] = [{ action: 'copy', sourceFd: source, targetFd: target, size }];
    const job = new Job(parts, ended);
    job.cancel();
    expect(waitForFds([{ fd: ended }], 10_000)).toEqual([ended]);
    expect(job.report.failure?.kind).toBe('canceled');
    expect(job.report.done).toBeLessThan(size);
    job.free();
    expect(() => job.report).toThrow(/ENOENT/);
    libc.drainEventfd(ended);

    const forgotten = new Job(parts, ended);
    forgotten.free();
    expect(waitForFds([{ fd: ended }], 10_000)).toEqual([ended]);
  });

  it('rejects fds that are not open, and too many ranges', () => {
    const ended = libc.eventfd(0);
    const target = file('target-2', 0);
    expect(() => new Job([{ action: 'copy', sourceFd: 9999, targetFd: target, size: 1 }], ended)).toThrow(
      /EBADF/,
    );
    const range = { host: 0n, offset: 0, size: 0 };
    const ranges = Array.from({ length: MAX_RANGES + 1 }, () => range);
    const copy: JobPart = {
      action: 'copy-private',
      sourceFd: null,
      pagemapFd: null,
      targetFd: target,
      size: PAGE,
      ranges,
    };
    expect(() => new Job([copy], ended)).toThrow(/E2BIG/);
    expect(() => new Job([], ended)).toThrow(/EINVAL/);
  });
});
