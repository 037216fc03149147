import type { Cancel } from '../../../devices/device.ts';
import { DiskError } from '../../backends/disk-error.ts';
import type { DirtyLog } from '../../memory/dirty-log.ts';
import type { GuestRam } from '../../memory/guest-ram.ts';
import { CONNECTION_LOST } from '../../migration/stream.ts';
import * as libc from '../../native/libc.ts';
import type { NativeVm } from '../../native/native-vm.ts';
import { describeFailure, Job, type JobPart } from '../../snapshot/job.ts';
import type { MachineLoop } from '../loop.ts';
import type { MigrateArguments, SentMachine, SnapshotProgress } from '../messages.ts';
import type { MachinePlaces } from '../topology.ts';
import { PageBits } from './page-bits.ts';
import { Rounds } from './rounds.ts';

/** The machine that is sent. */
export type OutgoingSource = {
  /** Stops it; calls `done` once all of it has stopped. It continues when the returned function is called. */
  quiesce(done: () => void): () => void;
  /** Devices that have not stopped. */
  holdups(): readonly string[];
  /** The whole state of the stopped machine, and where its devices are. */
  save(): { readonly state: Uint8Array; readonly places: MachinePlaces };
  readonly ram: GuestRam;
  readonly dirtyLog: DirtyLog;
  /** fds of the files that it writes. */
  written(): readonly number[];
  /** Releases the locks of its files, for the other host. */
  unlock(): void;
  /** Takes them again. @throws DiskError naming the file that is in use */
  lock(): void;
};

export type OutgoingOptions = {
  readonly source: OutgoingSource;
  readonly native: NativeVm;
  readonly loop: Pick<MachineLoop, 'watch' | 'at' | 'now'>;
  /** /proc/self/pagemap, for private memory; null to examine every page. */
  readonly pagemap: () => number | null;
  /** Null once it is over. */
  readonly progress: (progress: SnapshotProgress | null) => void;
  readonly warn: (text: string) => void;
};

type Done = (error: string | null, sent: SentMachine | null) => void;

/** The user of the dirty log. */
const USER = 'migration';
const REPORT_NS = 200_000_000n;
/** How long the machine may take to stop before it continues. */
const STOP_NS = 10_000_000_000n;
/** How long the other host may keep the files locked when the machine continues here, and how often that is tried. */
const LOCK_NS = 5_000_000_000n;
const LOCK_EVERY_NS = 20_000_000n;

/**
 * - `rounds`: memory is sent while the guest runs
 * - `stopping`, `rest`: the machine is stopped, and the rest is sent
 * - `sent`: all of it; it stays stopped, and has released its files
 */
type Phase = 'rounds' | 'stopping' | 'rest' | 'sent';

/** Sends the machine's memory and state to another host over a socket, and leaves the machine stopped. */
export class Outgoing {
  readonly #options: OutgoingOptions;
  readonly #request: MigrateArguments;
  readonly #fd: number;
  readonly #done: Done;
  readonly #rounds: Rounds;
  readonly #startedAt: bigint;
  #phase: Phase = 'rounds';
  #round = 0;
  #sent = 0;
  #job: Job | null = null;
  /** Bytes that the present round may send. */
  #left: number;
  #unwatch: Cancel = () => {};
  #stopReports: Cancel = () => {};
  #deadline: Cancel = () => {};
  #release: (() => void) | null = null;
  /** Whether the time limit has passed: the next round is the last. */
  #mustStop = false;
  #hasWarned = false;
  #isOver = false;
  #stoppedAt = 0n;

  /** @param fd the socket, which this object takes over. @param done called once, possibly before this returns */
  constructor(options: OutgoingOptions, request: MigrateArguments, fd: number, done: Done) {
    this.#options = options;
    this.#request = request;
    this.#fd = fd;
    this.#done = done;
    this.#rounds = new Rounds(request);
    this.#left = options.source.ram.size;
    const { loop, source } = options;
    this.#startedAt = loop.now();
    source.dirtyLog.start(USER, source.ram.blocks);
    this.#report();
    if (request.timeoutMs !== null)
      this.#deadline = loop.at(this.#startedAt + BigInt(request.timeoutMs) * 1_000_000n, () => this.#late());
    this.#try(() => this.#sendRound(null));
  }

  get phase(): Phase {
    return this.#phase;
  }

  /** Whether the machine is stopped for it. */
  get isStopped(): boolean {
    return this.#release !== null;
  }

  /** Gives up before everything is sent; the machine continues. */
  cancel(reason: string): void {
    if (this.#phase !== 'sent') this.#fail(reason);
  }

  /**
   * The machine continues here after everything was sent, once it has its files again.
   * @param done with why it has not: another process uses them, and it stays stopped
   */
  takeBack(done: (failure: string | null) => void, patienceNs = LOCK_NS): void {
    const { loop, source } = this.#options;
    const until = loop.now() + patienceNs;
    const attempt = () => {
      try {
        source.lock();
      } catch (error) {
        if (!(error instanceof DiskError)) throw error;
        if (loop.now() < until) loop.at(loop.now() + LOCK_EVERY_NS, attempt);
        else done(error.message);
        return;
      }
      this.#release?.();
      this.#release = null;
      done(null);
    };
    attempt();
  }

  #sendRound(pages: PageBits | null): void {
    this.#round++;
    const begun = this.#options.loop.now();
    this.#run([this.#memory()], pages?.bytes, written => {
      const { dirtyLog, ram } = this.#options.source;
      const seconds = Number(this.#options.loop.now() - begun) / 1e9;
      const dirty = dirtyLog.collect(USER);
      const bits = new PageBits(ram.blocks);
      bits.add(dirty);
      this.#left = PageBits.bytesOf(dirty);
      const isLast = this.#rounds.over({ sent: written, seconds, dirtied: this.#left }) || this.#mustStop;
      if (this.#rounds.isFutile && !isLast) this.#warnOnce();
      if (isLast) this.#syncThenStop(bits);
      else this.#sendRound(bits);
    });
  }

  /** What the host has not written yet should not delay the guest once it is stopped. */
  #syncThenStop(bits: PageBits): void {
    this.#run(this.#syncs(), undefined, () => this.#stop(bits));
  }

  #stop(bits: PageBits): void {
    const { source, loop } = this.#options;
    this.#phase = 'stopping';
    this.#stoppedAt = loop.now();
    this.#deadline();
    this.#deadline = loop.at(loop.now() + STOP_NS, () => {
      const holdups = source.holdups();
      const what = holdups.length === 0 ? 'its vCPUs do' : `${holdups.join(', ')} does`;
      this.#fail(`the VM could not be stopped: ${what} not respond`);
    });
    // It may be stopped already: `done` is then called before `quiesce` returns.
    let isHeld = false;
    let isQuiesced = false;
    const release = source.quiesce(() => {
      isQuiesced = true;
      if (isHeld) this.#try(() => this.#sendRest(bits));
    });
    isHeld = true;
    if (this.#isOver) {
      release();
      return;
    }
    this.#release = release;
    if (isQuiesced) this.#try(() => this.#sendRest(bits));
  }

  #sendRest(bits: PageBits): void {
    if (this.#isOver) return;
    const { source } = this.#options;
    this.#phase = 'rest';
    this.#deadline();
    // Memory is final once the state is saved: that writes some of it.
    const { state, places } = source.save();
    const dirty = source.dirtyLog.collect(USER);
    bits.add(dirty);
    this.#left = PageBits.bytesOf(dirty);
    this.#round++;
    this.#run([...this.#syncs(), this.#memory(0)], bits.bytes, () => {
      const part = { action: 'send-state', targetFd: this.#fd, size: state.length } as const;
      this.#run([part], state, () => this.#finish(places, state.length));
    });
  }

  #finish(places: MachinePlaces, stateBytes: number): void {
    const { loop, source } = this.#options;
    source.unlock();
    this.#phase = 'sent';
    this.#end();
    this.#done(null, {
      places,
      stateBytes,
      rounds: this.#round,
      sent: this.#sent,
      stoppedForMs: Number(loop.now() - this.#stoppedAt) / 1e6,
    });
  }

  /** @param rate bytes per second; 0 for no limit */
  #memory(rate = this.#request.bandwidth ?? 0): JobPart {
    const { source, pagemap } = this.#options;
    const { ram } = source;
    const [first] = ram.blocks;
    const common = { targetFd: this.#fd, size: ram.size, rate };
    if (first!.fd !== null) return { action: 'send', sourceFd: first!.fd, ...common };
    const ranges = ram.blocks.map(({ host, offset, size }) => ({ host, offset, size }));
    return { action: 'send-private', sourceFd: ram.below, pagemapFd: pagemap(), ranges, ...common };
  }

  #syncs(): JobPart[] {
    return this.#options.source.written().map(sourceFd => ({ action: 'sync', sourceFd, size: 0 }) as const);
  }

  /** Runs a job, unless it has no parts. @param then called with how many bytes it has sent */
  #run(parts: readonly JobPart[], bytes: Uint8Array | undefined, then: (sent: number) => void): void {
    if (parts.length === 0) {
      then(0);
      return;
    }
    const { native, loop } = this.#options;
    const ended = libc.eventfd();
    let job: Job;
    try {
      job = new Job(parts, ended, native.handle, bytes);
    } catch (error) {
      libc.close(ended);
      throw error;
    }
    this.#job = job;
    const unwatch = loop.watch(ended, () =>
      this.#try(() => {
        const { failure, written } = job.report;
        this.#freeJob();
        this.#sent += written;
        if (failure === null) then(written);
        else this.#fail(isLost(failure.code) ? CONNECTION_LOST : describeFailure(failure, 'what is sent'));
      }),
    );
    this.#unwatch = () => {
      unwatch();
      libc.close(ended);
    };
  }

  #freeJob(): void {
    this.#unwatch();
    this.#unwatch = () => {};
    this.#job?.free();
    this.#job = null;
  }

  #late(): void {
    if (this.#phase !== 'rounds') return;
    if (this.#request.thenPause) this.#mustStop = true;
    else
      this.#fail(
        `it has not converged within ${this.#request.timeoutMs! / 1000} s: ${this.#rates()}; ${ADVICE}, or use --then-pause`,
      );
  }

  #warnOnce(): void {
    if (this.#hasWarned) return;
    this.#hasWarned = true;
    this.#options.warn(
      `the migration does not converge: ${this.#rates()}; ${ADVICE}, or cancel it and use --timeout with --then-pause`,
    );
  }

  #rates(): string {
    const { forecast } = this.#rounds;
    if (forecast === null) return 'its memory has not been sent once';
    const { dirtyBytesPerSecond: dirty, bytesPerSecond: speed } = forecast;
    return `the guest writes memory at ${megabytes(dirty)} MB/s, and the connection carries ${megabytes(speed)} MB/s`;
  }

  #fail(reason: string): void {
    if (this.#isOver) return;
    this.#end();
    this.#release?.();
    this.#release = null;
    this.#done(reason, null);
  }

  #end(): void {
    this.#isOver = true;
    this.#deadline();
    this.#stopReports();
    this.#freeJob();
    libc.close(this.#fd);
    this.#options.source.dirtyLog.stop(USER);
    this.#options.progress(null);
  }

  #report(): void {
    const { source, loop, progress } = this.#options;
    const { done = 0, written = 0 } = this.#job?.report ?? {};
    const { forecast } = this.#rounds;
    const isFirst = this.#round <= 1;
    const left = isFirst ? source.ram.size - done : Math.max(0, this.#left - written);
    progress({
      done: isFirst ? done : source.ram.size - left,
      total: source.ram.size,
      written: this.#sent + written,
      waitingFor: this.#phase === 'stopping' ? [...source.holdups()] : [],
      migration: {
        round: this.#round,
        left,
        ...(forecast !== null && { ...forecast }),
        ...(this.#rounds.isFutile && { isFutile: true }),
        ...(this.#phase !== 'rounds' && { isStopped: true }),
      },
    });
    this.#stopReports();
    this.#stopReports = loop.at(loop.now() + REPORT_NS, () => this.#report());
  }

  #try(action: () => void): void {
    if (this.#isOver) return;
    try {
      action();
    } catch (error) {
      this.#fail((error as Error).message);
    }
  }
}

const ADVICE = 'raise --max-downtime or --bandwidth, reduce the load in the guest';

function isLost(code: string): boolean {
  return code === 'EPIPE' || code === 'ECONNRESET' || code === 'ENOTCONN';
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0);
}
