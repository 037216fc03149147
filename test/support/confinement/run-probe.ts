/** Starts confined programs as a manager does, and prints their outcomes as JSON. Runs as any user. */
import { execFileSync } from 'node:child_process';
import { closeSync, openSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { type ExitStatus, signalProcess, watchExit } from '../../../src/vmm/confinement/exit-status.ts';
import { readForbiddenCall } from '../../../src/vmm/confinement/forbidden-call.ts';
import type { Layer } from '../../../src/vmm/confinement/layer.ts';
import { type Confinement, spawnConfined } from '../../../src/vmm/confinement/spawn-confined.ts';
import * as libc from '../../../src/vmm/native/libc.ts';
import { forbidNamespaces } from './restrict-namespaces.ts';

/** An element of its argument, a JSON array. */
export type ProbeRun = {
  readonly program: string;
  readonly args: readonly string[];
  readonly confinement: Confinement;
  /** Files to open for reading and writing, as fds 4, 5, ...; 3 is for reports of forbidden calls. */
  readonly files?: readonly string[];
  /** A signal to send once it has printed a line and its threads have been inspected. */
  readonly end?: NodeJS.Signals;
  /** Start it from a sandbox like that of a systemd unit with RestrictNamespaces=. */
  readonly restrictNamespaces?: boolean;
  /** Arguments of prlimit(1) for the process that starts it. */
  readonly limit?: readonly string[];
};

/** An element of its output, a JSON array. */
export type ProbeOutcome = {
  readonly layers: readonly Layer[];
  readonly said: string;
  readonly end: ExitStatus;
  /** The system call that ended it. */
  readonly forbidden: string | null;
  /** With `end`: fields of /proc/PID/task/TID/status of each thread, and its namespaces. */
  readonly threads: readonly Readonly<Record<string, string>>[];
  readonly namespaces: Readonly<Record<string, string>>;
};

/** A failed start. */
export type ProbeFailure = { readonly error: string };

const NAMESPACES = ['user', 'mnt', 'pid', 'ipc', 'uts', 'net'];

function threadsOf(pid: number): Record<string, string>[] {
  return readdirSync(`/proc/${pid}/task`).map(thread => {
    const status = readFileSync(`/proc/${pid}/task/${thread}/status`, 'utf8');
    return Object.fromEntries(
      Array.from(status.matchAll(/^(\w+):[ \t]*(.*)$/gm), ([, name, value]) => [name, value]),
    );
  });
}

const runs: readonly ProbeRun[] = JSON.parse(process.argv[2]!);
process.stdout.write(JSON.stringify(await Promise.all(runs.map(attempt))));

async function attempt(probe: ProbeRun): Promise<ProbeOutcome | ProbeFailure> {
  try {
    return await run(probe);
  } catch (error) {
    return { error: (error as Error).message };
  }
}

async function run({
  program,
  args,
  confinement,
  files = [],
  end: signal,
  limit,
  restrictNamespaces,
}: ProbeRun): Promise<ProbeOutcome> {
  const [output, report] = [libc.memfdCreate('output'), libc.memfdCreate('report')];
  const opened = files.map(path => openSync(path, 'r+'));
  if (limit !== undefined) execFileSync('prlimit', ['--pid', `${process.pid}`, ...limit]);
  if (restrictNamespaces) forbidNamespaces();
  const { pid, pidfd, layers } = spawnConfined({
    path: process.execPath,
    // With its SIGUSR1 thread, which blocks all signals.
    args: [program, ...args],
    env: { TZ: 'Europe/Berlin' },
    fds: [report, ...opened],
    stdio: [null, output, output],
    confinement,
  });
  const read = (fd: number) => readFileSync(`/proc/self/fd/${fd}`);
  const ended = watchExit(pidfd);
  // Before it confines itself: no process can inspect it afterward.
  const namespace = (name: string) => readlinkSync(`/proc/${pid}/ns/${name}`);
  const namespaces = Object.fromEntries(NAMESPACES.map(name => [name, namespace(name)]));
  let threads: ProbeOutcome['threads'] = [];
  if (signal !== undefined) {
    while (!read(output).includes('\n')) await new Promise(setImmediate);
    threads = threadsOf(pid);
    signalProcess(pidfd, signal);
  }
  const end = await ended;
  for (const fd of [pidfd, ...opened]) closeSync(fd);
  const forbidden = readForbiddenCall(read(report))?.name ?? null;
  return { layers, said: read(output).toString(), end, forbidden, threads, namespaces };
}
