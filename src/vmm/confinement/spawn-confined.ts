import { constants } from 'node:os';
import { spawnOptionsStruct, spawnReportStruct } from '../native/abi.ts';
import { close, O_RDWR, open, SystemError } from '../native/libc.ts';
import { nativeCalls } from '../native/native-library.ts';
import { type Layer, type LayerName, layerOf } from './layer.ts';
import { encodeRlimits, type Rlimits } from './rlimits.ts';
import { SHORTAGE } from './shortage.ts';

/**
 * The layers of a start, in the order of native/src/spawn/request.rs; all but `rlimits` have a flag of the same number.
 */
const LAYERS = [
  'user-namespace',
  'mount-namespace',
  'pid-namespace',
  'ipc-namespace',
  'uts-namespace',
  'network',
  'cgroup',
  'no-new-privs',
  'rlimits',
] as const satisfies readonly LayerName[];

export type SpawnLayer = (typeof LAYERS)[number];

/** How a process is confined from its first instruction on. */
export type Confinement = {
  /** Layers to leave out (default: none). */
  readonly off?: readonly SpawnLayer[];
  /** In addition to no core files. */
  readonly rlimits?: Rlimits;
  /** fd of the cgroup's folder to start in. */
  readonly cgroup?: number;
};

/** No confinement from the first instruction on, except for resource limits. */
export const UNCONFINED = {
  off: [
    'user-namespace',
    'mount-namespace',
    'pid-namespace',
    'ipc-namespace',
    'uts-namespace',
    'network',
    'no-new-privs',
  ],
} as const satisfies Confinement;

export type SpawnOptions = {
  /** The program, and its arguments without its name. */
  readonly path: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Its fds 3, 4, ...; it gets no others. They stay open here. */
  readonly fds?: readonly number[];
  /** 0, 1 and 2; null is /dev/null (default: all). */
  readonly stdio?: readonly [number | null, number | null, number | null];
  readonly cwd?: string;
  readonly confinement?: Confinement;
};

/** A started process. It outlives this one. The caller closes `pidfd`. */
export type ConfinedProcess = {
  /** As this process's PID namespace numbers it. */
  readonly pid: number;
  readonly pidfd: number;
  readonly layers: readonly Layer[];
};

/** A process could not be started; the message gives the reason and the next step. */
export class SpawnError extends SystemError {
  constructor(call: string, errno: number, message: string) {
    super(call, errno);
    this.message = message;
  }
}

/** The step at which a start failed (native/src/spawn/request.rs). */
const STEP = { prepare: 1, clone: 2, fds: 3, directory: 4, rlimits: 5, exec: 6 } as const;

/**
 * Starts a program in a new session, confined before its first instruction. Returns as soon as it runs: about a
 * millisecond, whatever the size of this process.
 * @throws SpawnError
 */
export function spawnConfined(options: SpawnOptions): ConfinedProcess {
  const { confinement = {}, fds = [], stdio = [null, null, null] } = options;
  const nowhere = stdio.includes(null) ? openNull(options.path) : -1;
  const args = [options.path, ...options.args];
  const env = Object.entries(options.env).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}=${value}`],
  );
  const bytes = spawnOptionsStruct.encode({
    flags: flagsOf(confinement),
    argc: args.length,
    envc: env.length,
    fds: fds.length,
    ...encodeRlimits({ core: 0, ...confinement.rlimits }),
    cgroupFd: confinement.cgroup ?? -1,
    stdio: stdio.map(fd => fd ?? nowhere),
  });
  const texts = texted([options.path, options.cwd ?? '/', ...idMaps(), ...args, ...env]);
  const numbers = new Int32Array([...fds, -1]);
  const answer = new Uint8Array(spawnReportStruct.size);
  try {
    const result = nativeCalls().vring_spawn(bytes, texts, texts.length, numbers, answer);
    const report = spawnReportStruct.read(answer);
    if (result < 0) throw failure(options, -result, report);
    const { pid, pidfd } = report;
    return { pid, pidfd, layers: LAYERS.map((name, index) => layerOf(name, report.outcome[index]!)) };
  } finally {
    if (nowhere >= 0) close(nowhere);
  }
}

function openNull(path: string): number {
  try {
    return open('/dev/null', O_RDWR);
  } catch (error) {
    const { call, errno, message } = error as SystemError;
    const advice = SHORTAGE.get(errno) ?? message;
    throw new SpawnError(call, errno, `no process can be started for ${path}: ${advice}`);
  }
}

/** Root needs no user namespace: it already has the necessary privileges, and a uid per VM. */
function flagsOf({ off = [], cgroup }: Confinement): number {
  const wanted = LAYERS.map(name => {
    if (off.includes(name) || name === 'rlimits') return false;
    if (name === 'user-namespace') return process.geteuid?.() !== 0;
    return name !== 'cgroup' || cgroup !== undefined;
  });
  return wanted.reduce((flags, wants, index) => flags | (wants ? 1 << index : 0), 0);
}

/** user_namespaces(7): this user and group, and no other. */
function idMaps(): readonly string[] {
  const [uid, gid] = [process.geteuid!(), process.getegid!()];
  return [`${uid} ${uid} 1`, `${gid} ${gid} 1`];
}

/** @throws TypeError for a text that contains a NUL, which would split it */
function texted(texts: readonly string[]): Uint8Array {
  const nul = texts.find(text => text.includes('\0'));
  if (nul !== undefined) throw new TypeError(`"${nul.replaceAll('\0', '\\0')}" has a NUL character`);
  return Buffer.from(texts.map(text => `${text}\0`).join(''));
}

type Report = ReturnType<typeof spawnReportStruct.read>;

function failure(options: SpawnOptions, errno: number, { step }: Report): SpawnError {
  const { path, cwd = '/' } = options;
  const because = (call: string, what: string, advice: string) => {
    const { message } = new SystemError(call, errno);
    return new SpawnError(call, errno, `${what}: ${advice || message}`);
  };
  switch (step) {
    case STEP.exec:
      return because(`execve ${path}`, `${path} cannot be started`, EXEC_ADVICE.get(errno) ?? '');
    case STEP.directory:
      return because(`chdir ${cwd}`, `${path} cannot be started in ${cwd}`, '');
    case STEP.fds:
      return because('dup3', `${path} cannot be given its files`, SHORTAGE.get(errno) ?? '');
    case STEP.rlimits:
      return because('prlimit', `${path} cannot be started with its resource limits`, '');
    default:
      return because('clone', `no process can be started for ${path}`, SHORTAGE.get(errno) ?? '');
  }
}

const { errno: E } = constants;

const EXEC_ADVICE = new Map([
  [E.ENOENT, 'it, or the loader that it names, does not exist'],
  [E.EACCES, 'it is not executable for this user'],
  [E.ENOEXEC, 'it is not a program for this system'],
  [E.E2BIG, 'its arguments and environment are too long'],
  [E.ENOMEM, 'the host has too little memory left: free some, or end other VMs'],
  [E.EAGAIN, "this user's limit on processes is reached: raise RLIMIT_NPROC (ulimit -u)"],
]);
