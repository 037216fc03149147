/** Starts confined programs as a manager does, and prints what came of them as JSON. For any user. */
import { closeSync, openSync, readFileSync } from 'node:fs';
import { type ExitStatus, signalProcess, watchExit } from '../../../src/vmm/confinement/exit-status.ts';
import { readForbiddenCall } from '../../../src/vmm/confinement/forbidden-call.ts';
import type { Layer } from '../../../src/vmm/confinement/layer.ts';
import { type Confinement, spawnConfined } from '../../../src/vmm/confinement/spawn-confined.ts';
import * as libc from '../../../src/vmm/native/libc.ts';

/** One of its argument, a JSON array. */
export type ProbeRun = {
  readonly program: string;
  readonly args: readonly string[];
  readonly confinement: Confinement;
  /** Files to open for reading and writing, for 4, 5, ...; 3 is for reports of forbidden calls. */
  readonly files?: readonly string[];
  /** A signal to send as soon as it has printed a line. */
  readonly end?: NodeJS.Signals;
};

/** One of its output, a JSON array. */
export type ProbeOutcome = {
  readonly layers: readonly Layer[];
  readonly said: string;
  readonly end: ExitStatus;
  /** The system call that ended it. */
  readonly forbidden: string | null;
};

const runs: readonly ProbeRun[] = JSON.parse(process.argv[2]!);
process.stdout.write(JSON.stringify(await Promise.all(runs.map(run))));

async function run({ program, args, confinement, files = [], end: signal }: ProbeRun): Promise<ProbeOutcome> {
  const [output, report] = [libc.memfdCreate('output'), libc.memfdCreate('report')];
  const opened = files.map(path => openSync(path, 'r+'));
  const { pidfd, layers } = spawnConfined({
    path: process.execPath,
    args: ['--disable-sigusr1', program, ...args],
    env: { TZ: 'Europe/Berlin' },
    fds: [report, ...opened],
    stdio: [null, output, output],
    confinement,
  });
  const read = (fd: number) => readFileSync(`/proc/self/fd/${fd}`);
  const ended = watchExit(pidfd);
  if (signal !== undefined) {
    while (!read(output).includes('\n')) await new Promise(setImmediate);
    signalProcess(pidfd, signal);
  }
  const end = await ended;
  for (const fd of [pidfd, ...opened]) closeSync(fd);
  const forbidden = readForbiddenCall(read(report))?.name ?? null;
  return { layers, said: read(output).toString(), end, forbidden };
}
