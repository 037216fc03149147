import {
  copyFileSync,
  existsSync,
  fstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  statSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { builtFile, bundled } from '../../project-root.ts';

/** The program that runs a machine: a worker's file, or a process's. */
export type MachineProgram = 'machine-thread' | 'machine-process';

/** The files that a machine process of the bundle loads. */
const FILES = ['machine-process.cjs', 'machine-parts.js', 'libvring_native.so', 'koffi.node'] as const;

/** Those files, open since `keepMachineCode` was called. */
let kept: readonly { readonly name: string; readonly fd: number }[] | null = null;
/** A folder with copies of those files. */
let copies: string | null = null;

/**
 * Opens the files of machine processes, so that processes of this version can be started even after an upgrade has
 * replaced or removed them.
 * @throws with a sentence for the user when one is missing
 */
export function keepMachineCode(): void {
  if (bundled) kept ??= FILES.map(name => ({ name, fd: openSync(builtFile(name), 'r') }));
}

export function machineProgram(program: MachineProgram): string {
  if (!bundled) return join(import.meta.dirname, `../../vmm/machine/${program}.ts`);
  if (program === 'machine-thread' || kept === null || kept.every(isStillThere))
    return builtFile(`${program}.cjs`);
  return join(writtenCopies(kept), `${program}.cjs`);
}

/** Whether the installed files are no longer those that this process starts machines with. */
export function machineCodeWasReplaced(): boolean {
  return bundled && kept !== null && !kept.every(isStillThere);
}

function isStillThere({ name, fd }: { name: string; fd: number }): boolean {
  const there = statSync(builtFile(name), { bigint: true, throwIfNoEntry: false });
  const { dev, ino } = fstatSync(fd, { bigint: true });
  return there?.dev === dev && there.ino === ino;
}

/** Written on first use, and again when a cleanup has removed them. */
function writtenCopies(files: NonNullable<typeof kept>): string {
  if (copies !== null && files.every(({ name }) => existsSync(join(copies!, name)))) return copies;
  const folder = mkdtempSync(join(tmpdir(), 'vring-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  const dist = join(folder, 'dist');
  mkdirSync(dist);
  for (const { name, fd } of files) copyFileSync(`/proc/self/fd/${fd}`, join(dist, name));
  copies = dist;
  return dist;
}
