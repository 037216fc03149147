import { openSync } from 'node:fs';
import { isFolder } from '../../devices/backends/disk.ts';
import type { CpuFeatures } from '../cpu/cpuid-features.ts';
import type { GuestRam } from '../memory/guest-ram.ts';
import * as libc from '../native/libc.ts';
import type { NativeVm } from '../native/native-vm.ts';
import { type FileIdentity, identify } from '../snapshot/file-identity.ts';
import { FILES } from '../snapshot/files.ts';
import { describeFailure, Job, type JobPart } from '../snapshot/job.ts';
import type { HeldDisk } from './host-files.ts';
import type { MachineLoop } from './loop.ts';
import type { DiskLabel, SnapshotArguments, SnapshotProgress, WrittenSnapshot } from './messages.ts';
import type { MachinePlaces } from './topology.ts';

/** Interval for reporting its progress. */
const REPORT_NS = 100_000_000n;
/** Tells which pages of a machine's private memory are its own (proc(5)); opened before the process is confined. */
const PAGEMAP = '/proc/self/pagemap';

export type SavedBySource = {
  readonly state: Uint8Array;
  readonly cpu: CpuFeatures;
  readonly places: MachinePlaces;
};

/** The machine of which a snapshot is taken. */
export type SnapshotSource = {
  /** Stops the machine until the returned function is called. `done` is called once all of it has stopped. */
  quiesce(done: () => void): () => void;
  /** Devices that have not stopped. */
  holdups(): readonly string[];
  /** The whole state of the stopped machine, and what it takes to build it again. */
  save(): SavedBySource;
  readonly ram: GuestRam;
  disks(): readonly HeldDisk[];
};

export type SnapshotWriterOptions = {
  readonly source: SnapshotSource;
  readonly native: NativeVm;
  readonly loop: Pick<MachineLoop, 'watch' | 'at' | 'now'>;
  /** Null once it is over. */
  readonly progress: (progress: SnapshotProgress | null) => void;
};

type Done = (error: string | null, written: WrittenSnapshot | null) => void;

type Taking = {
  readonly request: SnapshotArguments;
  readonly fds: readonly number[];
  readonly done: Done;
  release: () => void;
  job: Job | null;
  /** Ends the watch of the job, and closes its eventfd. */
  unwatch: () => void;
  stopTimer: () => void;
};

/**
 * Writes snapshots of a machine into files that its manager has opened: holds the machine until a native thread has
 * copied its RAM and its disks, and then lets it continue, whatever the outcome. Nothing here blocks.
 */
export class SnapshotWriter {
  readonly #options: SnapshotWriterOptions;
  readonly #pagemap: number | null;
  #taking: Taking | null = null;
  /** Releases the machine, which was left stopped after a snapshot on request. */
  #kept: (() => void) | null = null;

  constructor(options: SnapshotWriterOptions) {
    this.#options = options;
    const { source, native } = options;
    const isPrivate = source.ram.blocks.some(({ fd }) => fd === null);
    this.#pagemap = isPrivate ? openPagemap(native) : null;
  }

  /**
   * Takes a snapshot. `fds` are those of the state, of the RAM and of its checksums, then for each disk to copy those
   * of the copy and of its checksums; this object takes them over.
   */
  take(request: SnapshotArguments, fds: readonly number[], done: Done): void {
    const refusal = this.#refusal(request, fds);
    if (refusal !== null) {
      closeAll(fds);
      done(refusal, null);
      return;
    }
    const taking: Taking = {
      request,
      fds,
      done,
      release: () => {},
      job: null,
      unwatch: () => {},
      stopTimer: () => {},
    };
    this.#taking = taking;
    this.#report(taking);
    // The machine may already be stopped: `done` is then called before `quiesce` returns.
    let isHeld = false;
    let isQuiesced = false;
    taking.release = this.#options.source.quiesce(() => {
      isQuiesced = true;
      if (isHeld) this.#copy(taking);
    });
    isHeld = true;
    if (isQuiesced) this.#copy(taking);
  }

  /** Gives up the snapshot that is being taken, or lets the machine continue after one. */
  cancel(reason: string): void {
    this.#finish(reason, null);
    this.resume();
  }

  /** Lets the machine continue after a snapshot that has left it stopped. */
  resume(): void {
    this.#kept?.();
    this.#kept = null;
  }

  /** /proc/self/pagemap, for a machine with private memory; null if it has none, or the host does not allow it. */
  get pagemap(): number | null {
    return this.#pagemap;
  }

  /** Why the machine cannot be handed to another process now; null if it can. */
  get busy(): string | null {
    return this.#taking === null && this.#kept === null ? null : 'a snapshot of it is being taken';
  }

  #refusal({ disks }: SnapshotArguments, fds: readonly number[]): string | null {
    if (this.#taking !== null || this.#kept !== null) return 'another snapshot of it is being taken';
    const there = this.#options.source.disks();
    const known = disks.every(index => there[index] !== undefined);
    // Some fds are lost if this process has reached its limit.
    return known && fds.length === 3 + 2 * disks.length
      ? null
      : 'the files of the snapshot did not reach the machine: try again';
  }

  #copy(taking: Taking): void {
    if (this.#taking !== taking) return;
    const { source, native, loop } = this.#options;
    const ended = libc.eventfd();
    try {
      const saved = source.save();
      const { state: bytes } = saved;
      const job = new Job(this.#parts(taking, bytes.length), ended, native.handle, bytes);
      taking.job = job;
      const unwatch = loop.watch(ended, () => this.#copied(taking, job, saved));
      taking.unwatch = () => {
        unwatch();
        libc.close(ended);
      };
      this.#report(taking);
    } catch (error) {
      if (taking.job === null) libc.close(ended);
      this.#finish((error as Error).message, null);
    }
  }

  #parts({ request, fds }: Taking, stateBytes: number): JobPart[] {
    const { ram, disks } = this.#options.source;
    const [state, ramFd, sumsFd] = fds as [number, number, number];
    const target = { targetFd: ramFd, sumsFd, size: ram.size };
    const [first] = ram.blocks;
    const ranges = ram.blocks.map(({ host, offset, size }) => ({ host, offset, size }));
    const there = disks.call(this.#options.source);
    return [
      { action: 'write', targetFd: state, size: stateBytes },
      first!.fd !== null
        ? { action: 'copy', sourceFd: first!.fd, ...target }
        : { action: 'copy-private', sourceFd: ram.below, pagemapFd: this.#pagemap, ranges, ...target },
      ...request.disks.map((disk, index): JobPart => {
        const { fd } = there[disk]!;
        const { size } = labelOf(there[disk]!);
        const [targetFd, sumsFd] = [fds[3 + 2 * index]!, fds[4 + 2 * index]!];
        return { action: 'copy', sourceFd: fd, targetFd, sumsFd, size, mayClone: true };
      }),
    ];
  }

  #copied(taking: Taking, job: Job, { state, cpu, places }: SavedBySource): void {
    if (this.#taking !== taking) return;
    const { failure, written, cloned } = job.report;
    const { disks } = taking.request;
    const names = [FILES.state, FILES.ram, ...disks.map(index => this.#options.source.disks()[index]!.path)];
    if (failure !== null) {
      this.#finish(describeFailure(failure, names[failure.part] ?? 'the snapshot'), null);
      return;
    }
    const result: WrittenSnapshot = {
      stateBytes: state.length,
      written,
      cpu,
      places,
      disks: this.#options.source.disks().map(disk => ({
        ...labelOf(disk),
        identity: identityOf(disk.fd),
        ...(disk.backing.length > 0 && {
          backing: disk.backing.map(({ path, fd }) => ({ path, identity: identityOf(fd) })),
        }),
      })),
      cloned: disks.map((_, index) => cloned(2 + index)),
    };
    this.#finish(null, result);
  }

  /** Ends the present snapshot: the machine continues, unless it should stay stopped. */
  #finish(error: string | null, written: WrittenSnapshot | null): void {
    const taking = this.#taking;
    if (taking === null) return;
    this.#taking = null;
    taking.stopTimer();
    taking.unwatch();
    // A job blocked by its file system is left to finish on its own.
    taking.job?.free();
    closeAll(taking.fds);
    this.#options.progress(null);
    if (written !== null && taking.request.hold) this.#kept = taking.release;
    else taking.release();
    taking.done(error, written);
  }

  #report(taking: Taking): void {
    const { source, loop, progress } = this.#options;
    taking.stopTimer();
    const { job } = taking;
    const { done = 0, written = 0 } = job?.report ?? {};
    progress({
      done,
      total: job?.total ?? 0,
      written,
      waitingFor: job === null ? [...source.holdups()] : [],
    });
    taking.stopTimer = loop.at(loop.now() + REPORT_NS, () => this.#report(taking));
  }
}

/** A manager's facts about a disk. */
export function labelOf({ path, format, readonly, transient, isBlockDevice, fd, size }: HeldDisk): DiskLabel {
  // A file may have been resized since it was opened.
  const bytes = isBlockDevice ? size : identityOf(fd).size;
  return {
    path,
    readonly,
    isBlockDevice,
    size: bytes,
    ...((transient || isFolder(format)) && { transient: true }),
  };
}

function identityOf(fd: number): FileIdentity {
  return identify(fd)!;
}

/** Without it, all pages are examined. */
function openPagemap(native: NativeVm): number | null {
  try {
    return native.ownFd(openSync(PAGEMAP, 'r'));
  } catch {
    return null;
  }
}

function closeAll(fds: readonly number[]): void {
  for (const fd of fds) libc.close(fd);
}
