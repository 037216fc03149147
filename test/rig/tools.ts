import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { execa } from 'execa';

/** Admin tools such as mke2fs and depmod are not on every user's PATH. */
const PATH = [process.env.PATH ?? '', '/usr/sbin', '/sbin'].join(delimiter);

/** Runs a command of this machine. @throws if it fails, with its output. */
export const run = execa({ env: { PATH } });

/** The shared libraries that an ELF file of this machine loads, by the paths where it finds them. */
export async function librariesOf(file: string): Promise<string[]> {
  const { stdout } = await run('ldd', [file]);
  return [...stdout.matchAll(/(\/\S+) \(0x/g)].map(([, library]) => library!);
}

export const BUSYBOX = '/bin/busybox';

const NEEDED = [
  'qemu-system-x86_64',
  BUSYBOX,
  'mke2fs',
  'depmod',
  'modinfo',
  'ldd',
  'strip',
  'xz',
  'tmux',
  'apt-get',
  'make',
  'dpkg',
  'nvme',
];

/** Why the emulated host can't run on this machine, in one sentence; null if it can. */
export function missingForRig(): string | null {
  const missing = NEEDED.filter(command => !isCommand(command));
  if (missing.length === 0) return null;
  return `the emulated host needs ${missing.join(', ')}: run scripts/install-deps.sh as root`;
}

function isCommand(command: string): boolean {
  const candidates = command.startsWith('/')
    ? [command]
    : PATH.split(delimiter).map(folder => join(folder, command));
  return candidates.some(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
