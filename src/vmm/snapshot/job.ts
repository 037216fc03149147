import { jobPartStruct, jobReportStruct } from '../native/abi.ts';
import { errnoName, SystemError } from '../native/libc.ts';
import { checked, nativeCalls } from '../native/native-library.ts';

/** The unit with its own checksum, in bytes (native/src/snapshot/mod.rs). */
export const CHUNK_BYTES = 2 ** 20;

/** Memory ranges of one part (native/src/snapshot/abi.rs). */
export const MAX_RANGES = jobPartStruct.fields.ranges.length;

const ACTION = {
  copy: 1,
  'copy-private': 2,
  verify: 3,
  write: 4,
  send: 5,
  'send-private': 6,
  'send-state': 7,
  sync: 8,
} as const;
const MAY_CLONE = 1;
/** By the number in native/src/snapshot/abi.rs. */
const FAILURES = ['none', 'read', 'write', 'different', 'died'] as const;

/** Memory of this process, at `host`, that maps a file at `offset`; bytes. */
export type MemoryRange = { readonly host: bigint; readonly offset: number; readonly size: number };

/**
 * One file to write, to verify or to send; its fds are duplicated. A copy leaves out holes and zero pages. `sumsFd` is a file of
 * checksums: a CRC32C for each chunk of 1 MiB, 32 bits, little endian.
 */
export type JobPart =
  | {
      readonly action: 'copy';
      readonly sourceFd: number;
      readonly targetFd: number;
      readonly sumsFd?: number;
      readonly size: number;
      /** Share the source's blocks if the file system supports it; there are then no checksums. */
      readonly mayClone?: boolean;
    }
  /**
   * Privately mapped memory: the pages that this process has written, and the content of the file below for the others.
   */
  | {
      readonly action: 'copy-private';
      readonly sourceFd: number | null;
      /** /proc/self/pagemap; null to examine every page. */
      readonly pagemapFd: number | null;
      readonly targetFd: number;
      readonly sumsFd?: number;
      readonly size: number;
      readonly ranges: readonly MemoryRange[];
    }
  | {
      readonly action: 'verify';
      readonly sourceFd: number;
      readonly sumsFd: number;
      readonly size: number;
    }
  /** The bytes passed to the job at its start. */
  | { readonly action: 'write'; readonly targetFd: number; readonly size: number }
  /**
   * Sends guest RAM to a socket, as frames of a migration (migration/stream.ts): the pages in the bitmap that was passed
   * to the job, or without one those that are not zero. The guest may be running.
   */
  | {
      readonly action: 'send';
      readonly sourceFd: number;
      readonly targetFd: number;
      readonly size: number;
      /** Bytes per second; 0 for no limit. */
      readonly rate: number;
    }
  /** The same of privately mapped memory. */
  | {
      readonly action: 'send-private';
      readonly sourceFd: number | null;
      readonly pagemapFd: number | null;
      readonly targetFd: number;
      readonly size: number;
      readonly rate: number;
      readonly ranges: readonly MemoryRange[];
    }
  /** Sends the bytes passed to the job as a machine's state. */
  | { readonly action: 'send-state'; readonly targetFd: number; readonly size: number }
  /** Waits until what was written to the file has reached the disk. */
  | { readonly action: 'sync'; readonly sourceFd: number; readonly size: 0 };

/** The progress of a job, and how it ended. Bytes. */
export type JobReport = {
  /** Bytes processed of all parts, including holes. */
  readonly done: number;
  readonly written: number;
  readonly ended: boolean;
  /** By part: whether its blocks are shared with its source. */
  readonly cloned: (part: number) => boolean;
  /** Null if there is none. */
  readonly failure: JobFailure | null;
};

export type JobFailure = {
  /** `canceled`; reading or writing failed; a verification found other bytes; the thread died. */
  readonly kind: 'canceled' | 'read' | 'write' | 'different' | 'died';
  /** Index of the part, and the offset in it. */
  readonly part: number;
  readonly offset: number;
  /** `ENOSPC`. */
  readonly code: string;
};

/** A thread that writes a snapshot's files, verifies them, or sends RAM to another host. @see native/src/snapshot/mod.rs */
export class Job {
  readonly #handle: number;
  /** Bytes of all its parts. */
  readonly total: number;

  /**
   * Starts it.
   * @param endedFd an eventfd, or a socket, that receives 8 bytes once it has ended
   * @param vm native handle of the VM whose memory it copies, 0 for none
   * @param bytes the content of a part that writes or sends bytes, or the bitmap of the pages to send
   * @throws SystemError
   */
  constructor(parts: readonly JobPart[], endedFd: number, vm = 0, bytes: Uint8Array = new Uint8Array()) {
    const encoded = new Uint8Array(parts.length * jobPartStruct.size);
    parts.forEach((part, index) => {
      jobPartStruct.write(encoded, encodePart(part), index * jobPartStruct.size);
    });
    const { vring_job_start: start } = nativeCalls();
    this.#handle = checked(
      'vring_job_start',
      start(vm, encoded, parts.length, bytes, bytes.byteLength, endedFd),
    );
    this.total = parts.reduce((sum, { size }) => sum + size, 0);
  }

  get report(): JobReport {
    const bytes = new Uint8Array(jobReportStruct.size);
    checked('vring_job_report', nativeCalls().vring_job_report(this.#handle, bytes));
    const { done, written, cloned, offset, part, failure, errno, ended } = jobReportStruct.read(bytes);
    const kind = FAILURES[failure] ?? 'died';
    return {
      done: Number(done),
      written: Number(written),
      ended: ended !== 0,
      cloned: part => part < 64 && (cloned & (1n << BigInt(part))) !== 0n,
      failure:
        errno === 0
          ? null
          : {
              kind: kind === 'none' ? 'canceled' : kind,
              part,
              offset: Number(offset),
              code: errnoName(errno),
            },
    };
  }

  /** Asks it to end. It does, unless it completes its work first. */
  cancel(): void {
    checked('vring_job_cancel', nativeCalls().vring_job_cancel(this.#handle));
  }

  /** Releases it; a running job ends. It must not be used any more. */
  free(): void {
    checked('vring_job_free', nativeCalls().vring_job_free(this.#handle));
  }
}

/** Why a job cannot continue, for lack of space or because of an I/O error, as a sentence without a full stop. */
export function describeFailure({ kind, code, offset }: JobFailure, file: string): string {
  switch (kind) {
    case 'canceled':
      return 'it was canceled';
    case 'different':
      return `${file} is damaged or was edited: the MiB at ${offset} has another checksum`;
    case 'died':
      return `the thread that writes ${file} died (${code})`;
    case 'read':
      return code === 'ENODATA'
        ? `${file} is truncated: it ends within the MiB at ${offset}`
        : `${file} cannot be read at ${offset}: ${code}`;
    case 'write':
      if (code === 'ENOSPC' || code === 'EDQUOT')
        return `there is no space left for ${file}: free some, or delete snapshots`;
      return `${file} cannot be written at ${offset}: ${code}`;
  }
}

function encodePart(part: JobPart): Parameters<typeof jobPartStruct.write>[1] {
  const ranges = 'ranges' in part ? part.ranges : [];
  if (ranges.length > MAX_RANGES) throw new SystemError('vring_job_start', 7);
  const none = { host: 0n, offset: 0n, size: 0n };
  return {
    action: ACTION[part.action],
    flags: part.action === 'copy' && part.mayClone ? MAY_CLONE : 0,
    sourceFd: 'sourceFd' in part ? (part.sourceFd ?? -1) : -1,
    targetFd: 'targetFd' in part ? part.targetFd : -1,
    sumsFd: 'sumsFd' in part ? (part.sumsFd ?? -1) : -1,
    pagemapFd: 'pagemapFd' in part ? (part.pagemapFd ?? -1) : -1,
    size: BigInt(part.size),
    rate: BigInt('rate' in part ? part.rate : 0),
    rangeCount: ranges.length,
    ranges: Array.from({ length: MAX_RANGES }, (_, index) => {
      const range = ranges[index];
      return range === undefined
        ? none
        : { host: range.host, offset: BigInt(range.offset), size: BigInt(range.size) };
    }),
  };
}
