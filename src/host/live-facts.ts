import fs from 'node:fs';
import os from 'node:os';
import { execa } from 'execa';
import type { CommandResult, DeviceNode } from './recorded-facts.ts';

/** A character or block device of the running system; null for anything else. */
export function liveNode(devicePath: string): DeviceNode | null {
  const stat = statOf(devicePath);
  if (!stat?.isCharacterDevice() && !stat?.isBlockDevice()) return null;
  return {
    path: devicePath,
    kind: stat.isBlockDevice() ? 'block' : 'character',
    ...deviceNumbers(stat.rdev),
    mode: stat.mode & 0o7777,
    uid: stat.uid,
    gid: stat.gid,
    usable: accessible(devicePath),
  };
}

/** `major:minor` of the device at a path; null for anything else, or if it is gone. */
export function liveDeviceNumber(hostPath: string): string | null {
  const stat = statOf(hostPath);
  if (!stat?.isCharacterDevice() && !stat?.isBlockDevice()) return null;
  const { major, minor } = deviceNumbers(stat.rdev);
  return `${major}:${minor}`;
}

/** Null also for a link loop, or a path that this user may not search. */
function statOf(path: string): fs.Stats | null {
  try {
    return fs.statSync(path);
  } catch {
    return null;
  }
}

/** glibc's dev_t: 12 bits of major number at bit 8, and 20 bits of minor number in two parts. */
function deviceNumbers(rdev: number): { readonly major: number; readonly minor: number } {
  return { major: (rdev >>> 8) & 0xfff, minor: (rdev & 0xff) | ((rdev >>> 12) & 0xfff00) };
}

function accessible(devicePath: string): boolean {
  try {
    fs.accessSync(devicePath, fs.constants.R_OK | fs.constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** Addresses of the interfaces that are up, `192.0.2.1/24`. */
export function liveAddresses(): Record<string, string[]> {
  const result: Record<string, string[]> = {};
  for (const [name, addresses] of Object.entries(os.networkInterfaces())) {
    result[name] = (addresses ?? []).map(address => address.cidr ?? address.address);
  }
  return result;
}

/**
 * SSH_CONNECTION of this process and its ancestors: sudo removes the variable from the environment, but the shell above
 * it still has it.
 */
export function liveSshConnections(): string[] {
  const found = new Set<string>();
  if (process.env.SSH_CONNECTION) found.add(process.env.SSH_CONNECTION);
  let pid = process.ppid;
  for (let depth = 0; pid > 1 && depth < 64; depth++) {
    const connection = /(?:^|\0)SSH_CONNECTION=([^\0]+)/.exec(readQuietly(`/proc/${pid}/environ`));
    if (connection) found.add(connection[1]!);
    pid = Number(/^PPid:\s*(\d+)/m.exec(readQuietly(`/proc/${pid}/status`))?.[1] ?? 0);
  }
  return [...found];
}

/** Ancestors of another user are not readable, and may exit at any time. */
function readQuietly(file: string): string {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

/** For commands whose output is parsed: includes the sbin directories, and the C locale. */
export function commandEnvironment(): NodeJS.ProcessEnv {
  const path = `${process.env.PATH ?? ''}:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin`;
  return { ...process.env, PATH: path, LC_ALL: 'C' };
}

/** Runs a command in the C locale; null if it is not installed. */
export async function runCommand(
  argv: readonly [string, ...string[]],
  timeout: number,
): Promise<CommandResult | null> {
  const [file, ...args] = argv;
  const result = await execa(file, args, {
    reject: false,
    timeout,
    stdin: 'ignore',
    maxBuffer: 64 << 20,
    env: commandEnvironment(),
  });
  if (result.code === 'ENOENT') return null;
  return {
    exitCode: result.exitCode ?? 1,
    stdout: result.stdout,
    stderr: result.timedOut ? `${file} did not finish within ${timeout / 1000} s` : result.stderr,
  };
}
