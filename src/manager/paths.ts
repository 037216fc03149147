import { chmodSync, lstatSync, type Stats } from 'node:fs';
import { isAbsolute, join, resolve } from 'node:path';
import { variablesFile } from '../engine/firmware/variables.ts';
import { makeFolders } from '../files/make-folders.ts';
import { stateFolder } from '../files/state-folder.ts';
import { codeText } from '../text/errno.ts';

/** The most bytes of a socket's path: sun_path in unix(7), without the terminating zero. */
export const LONGEST_SOCKET_PATH = 107;

/** The paths where a manager and its clients meet, and where a manager keeps persistent files. */
export type ManagerPaths = {
  /** Socket and locks; removed by a reboot of the host. */
  readonly runtime: string;
  readonly state: string;
  readonly socket: string;
  /** The records by which later managers find the machines of running VMs. */
  readonly machines: string;
  /** Log of a background manager. */
  readonly log: string;
};

/** The lock of a manager's runtime folder, or of its state folder. */
export function managerLock(folder: string): string {
  return join(folder, 'manager.lock');
}

/** The folder of UEFI variables, with a file for each VM. */
export function variablesFolder(state: string): string {
  return join(state, 'firmware');
}

/** The folder of TPM states, with a folder for each VM. */
export function tpmsFolder(state: string): string {
  return join(state, 'tpm');
}

/** The variables files of a VM and of its clone. */
export function clonedVariables(state: string, from: string, to: string) {
  const folder = variablesFolder(state);
  return { from: variablesFile(folder, from), to: variablesFile(folder, to) };
}

type Env = Readonly<Record<string, string | undefined>>;

/** @throws when the socket's path would be too long */
export function managerPaths(env: Env = process.env, uid: number = process.getuid!()): ManagerPaths {
  const runtime = runtimeFolder(env, uid);
  const state = stateFolder(env, uid);
  const machines = join(runtime, 'machines');
  const longest = join(machines, `${'0'.repeat(8)}.sock`);
  if (Buffer.byteLength(longest) > LONGEST_SOCKET_PATH)
    throw new Error(
      `${longest} is too long for a socket: set VRING_RUNTIME_DIR to a folder whose path is shorter`,
    );
  return { runtime, state, socket: join(runtime, 'control.sock'), machines, log: join(state, 'manager.log') };
}

function runtimeFolder(env: Env, uid: number): string {
  if (env.VRING_RUNTIME_DIR) return resolve(env.VRING_RUNTIME_DIR);
  if (uid === 0) return '/run/vring';
  // After su, it may belong to another user.
  const session = env.XDG_RUNTIME_DIR;
  if (session && isAbsolute(session) && statOf(session)?.uid === uid) return join(session, 'vring');
  return `/tmp/vring-${uid}`;
}

/**
 * Makes sure that a folder exists, belongs to this user, and is not writable by others.
 * @throws if that fails
 */
export function ensurePrivateFolder(path: string): void {
  try {
    makeFolders(path, 0o700);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'EEXIST')
      throw new Error(`the folder ${path} cannot be created: ${codeText(code)}; ${CHOOSE_ANOTHER}`);
  }
  const { mode } = checkPrivateFolder(path)!;
  if ((mode & 0o077) !== 0) chmodSync(path, 0o700);
}

/** Checks a folder that may be missing in the same way. @returns null if it is missing */
export function checkPrivateFolder(path: string): Stats | null {
  const stats = statOf(path);
  if (stats === null) return null;
  if (!stats.isDirectory()) throw new Error(`${path} is not a folder: remove it, or ${CHOOSE_ANOTHER}`);
  if (stats.uid !== process.getuid!())
    throw new Error(`the folder ${path} belongs to user ${stats.uid}: ${CHOOSE_ANOTHER}`);
  if ((stats.mode & 0o022) !== 0)
    throw new Error(`others can write to the folder ${path}: chmod 700 it, or ${CHOOSE_ANOTHER}`);
  return stats;
}

const CHOOSE_ANOTHER = 'choose another with VRING_RUNTIME_DIR and VRING_STATE_DIR';

function statOf(path: string): Stats | null {
  try {
    return lstatSync(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return null;
    throw new Error(`the folder ${path} cannot be examined: ${codeText(code)}; ${CHOOSE_ANOTHER}`);
  }
}
