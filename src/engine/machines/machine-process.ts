import { closeSync } from 'node:fs';
import { Socket } from 'node:net';
import { constants } from 'node:os';
import { type Cgroup, memoryLimitFor } from '../../vmm/confinement/cgroup.ts';
import { type ExitStatus, signalProcess, watchExit } from '../../vmm/confinement/exit-status.ts';
import { readForbiddenCall } from '../../vmm/confinement/forbidden-call.ts';
import type { Layer } from '../../vmm/confinement/layer.ts';
import { spawnConfined, UNCONFINED } from '../../vmm/confinement/spawn-confined.ts';
import { maxCpus } from '../../vmm/cpu/cpu-topology.ts';
import type { MachineConfig } from '../../vmm/machine/config.ts';
import { socketPair } from '../../vmm/native/libc.ts';
import type { Death } from './machine.ts';
import { machineProgram } from './machine-code.ts';

/** How much of a machine process's stderr is kept, in bytes. */
const LAST_WORDS = 4096;

/** How long a killed process may take to be gone. */
const END_MS = 500;

/**
 * The environment variables passed to a machine process. It gets few malloc arenas: glibc keeps what those of ended
 * threads held (mallopt(3)).
 */
const PASSED = ['PATH', 'LANG', 'LC_ALL', 'TZ', 'VRING_TRACE_START'] as const;

/** Why process `pid` was killed, from its cgroup's counters. */
export function killedForMemory(pid: number, whose: keyof typeof OUT_OF_MEMORY): string {
  return `its process ${pid} was killed by the kernel for lack of memory: ${OUT_OF_MEMORY[whose]}`;
}

/** A process that has loaded everything a machine needs, and waits for a configuration. */
export class MachineProcess {
  readonly pid: number;
  readonly pidfd: number;
  /** Its confinement at the start. */
  readonly layers: readonly Layer[];
  readonly #exited: Promise<ExitStatus>;
  readonly #lastWords: Tail;
  readonly #reported: Tail;
  readonly #cgroup: Cgroup | null;
  /** The connected socket to it, until the caller takes it. */
  #socket: number | null;
  #alive = true;
  #outOfMemory: ReturnType<Cgroup['outOfMemory']> = null;

  /**
   * @param confined false: without namespaces or other confinement
   * @param cgroup for the process; removed with it
   * @throws SpawnError
   */
  constructor({ confined, cgroup }: { readonly confined: boolean; readonly cgroup: Cgroup | null }) {
    const kept: number[] = [];
    const given: number[] = [];
    try {
      for (let pair = 0; pair < 3; pair++) {
        const [ours, theirs] = socketPair();
        kept.push(ours);
        given.push(theirs);
      }
      const [theirs, stderr, report] = given as [number, number, number];
      const { pid, pidfd, layers } = spawnConfined({
        path: '/proc/self/exe',
        args: [
          '--disable-sigusr1',
          '--disable-warning=ExperimentalWarning',
          // With 0, Node chooses by the number of the host's CPUs.
          '--v8-pool-size=1',
          // For freeMemory().
          '--expose-gc',
          // A busy machine's garbage is short-lived: by default it would fill 32 MiB before it is collected.
          '--max-semi-space-size=1',
          // What a start compiled is dropped when the machine is idle first, unless it has been used since: by default after six collections.
          '--bytecode-old-age=1',
          '--flush-baseline-code',
          // What the spare process rehearses is called once, and V8 would learn from its second call on: the VM's start.
          '--no-lazy-feedback-allocation',
          // A start allocates 10 MiB that stay: by default V8 would look for garbage among them, for as long as the start takes.
          '--initial-old-space-size=32',
          machineProgram('machine-process'),
        ],
        env: {
          MALLOC_ARENA_MAX: '2',
          UV_USE_IO_URING: '0',
          ...Object.fromEntries(PASSED.map(name => [name, process.env[name]])),
        },
        fds: [theirs, report],
        stdio: [null, null, stderr],
        confinement: { ...(!confined && UNCONFINED), ...(cgroup !== null && { cgroup: cgroup.fd }) },
      });
      kept.push(pidfd);
      this.pid = pid;
      this.pidfd = pidfd;
      this.layers = layers;
      this.#exited = watchExit(pidfd, { ref: false });
    } catch (error) {
      const pidfd = kept[3];
      for (const fd of kept.slice(0, 3)) closeSync(fd);
      if (pidfd !== undefined) endUnwatched(pidfd);
      void cgroup?.remove();
      throw error;
    } finally {
      for (const fd of given) closeSync(fd);
    }
    const [socket, words, reported] = kept as [number, number, number];
    this.#socket = socket;
    this.#lastWords = new Tail(words);
    this.#reported = new Tail(reported);
    this.#cgroup = cgroup;
    void this.#exited.then(() => {
      this.#alive = false;
      this.#outOfMemory = cgroup?.outOfMemory() ?? null;
      void cgroup?.remove();
      closeSync(this.pidfd);
      this.#closeSocket();
    });
  }

  get alive(): boolean {
    return this.#alive;
  }

  /** Resolves with how it died; null if it ended on its own. */
  async death(): Promise<Death | null> {
    const { code, signal } = await this.#exited;
    const [words, report] = await Promise.all([this.#lastWords.bytes, this.#reported.bytes]);
    const detail = words.toString().trim() || null;
    const forbidden = readForbiddenCall(report);
    if (forbidden !== null)
      return {
        reason: `its process ${this.pid} made the system call ${forbidden.name}, which its seccomp filter forbids`,
        detail,
      };
    if (this.#outOfMemory !== null) {
      return { reason: killedForMemory(this.pid, this.#outOfMemory), detail };
    }
    const by = signal ?? signalOf(code);
    if (by !== null) return { reason: `its process ${this.pid} was ended by ${by}`, detail };
    return code === 0 ? null : { reason: `its process ${this.pid} ended with exit status ${code}`, detail };
  }

  /** Limits it to what this machine may need from the host. @returns its confinement at the start */
  limitTo(config: MachineConfig): readonly Layer[] {
    const cgroup = this.#cgroup;
    if (cgroup === null) return this.layers;
    const { memory, devices } = config;
    const pidsMax = THREADS + maxCpus(config) + devices.length * QUEUES_PER_DEVICE;
    cgroup.limit({ memoryMax: memoryLimitFor(memory.bytes), pidsMax });
    return this.layers.map(layer => (layer.name === 'cgroup' ? cgroup.layer(layer) : layer));
  }

  signal(signal: NodeJS.Signals): void {
    if (this.#alive) signalProcess(this.pidfd, signal);
  }

  /** @returns the connected socket to it, which the caller then owns */
  takeSocket(): number {
    const socket = this.#socket;
    if (socket === null) throw new Error(`process ${this.pid} has ended, or has a machine already`);
    this.#socket = null;
    return socket;
  }

  /** Ends it before it has a machine; resolves when it is gone, or refuses to go. */
  async end(): Promise<void> {
    this.#closeSocket();
    if (!this.#alive) return;
    // It may have been stopped by a signal, and cannot notice that its manager is gone.
    this.signal('SIGKILL');
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise(resolve => {
      timer = setTimeout(resolve, END_MS);
    });
    await Promise.race([this.#exited, late]);
    clearTimeout(timer);
  }

  #closeSocket(): void {
    if (this.#socket !== null) closeSync(this.#socket);
    this.#socket = null;
  }
}

/** Ends a process that could not be watched for lack of fds; the failed start has freed some. */
function endUnwatched(pidfd: number): void {
  try {
    signalProcess(pidfd, 'SIGKILL');
    // Reaps it in any case.
    watchExit(pidfd, { ref: false }).catch(() => {});
  } finally {
    closeSync(pidfd);
  }
}

/** Node's threads with a margin, and a device's queue threads. */
const THREADS = 64;
const QUEUES_PER_DEVICE = 64;

const OUT_OF_MEMORY = {
  limit: 'it needed far more than the VM has',
  host: 'the host has too little for everything that runs on it',
} as const;

/**
 * The first process of a PID namespace cannot die from most signals: it exits with a status that encodes one, as in
 * shells.
 */
function signalOf(code: number | null): string | null {
  if (code === null || code <= 128) return null;
  return Object.entries(constants.signals).find(([, number]) => number === code - 128)?.[0] ?? null;
}

/** The last bytes read from a socket, until it is closed. */
class Tail {
  readonly bytes: Promise<Buffer>;

  constructor(fd: number) {
    const socket = new Socket({ fd, readable: true, writable: false });
    socket.unref();
    let tail = Buffer.alloc(0);
    socket.on('data', chunk => {
      tail = Buffer.concat([tail, chunk]).subarray(-LAST_WORDS);
    });
    socket.on('error', () => {});
    this.bytes = new Promise(resolve => socket.on('close', () => resolve(tail)));
  }
}
