import { spawn } from 'node:child_process';
import { closeSync, existsSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { bundled, projectRoot } from '../project-root.ts';
import { codeText } from '../text/errno.ts';
import { ensurePrivateFolder, type ManagerPaths, managerLock, managerPaths } from './paths.ts';

const LAST_LINES = 5;
/**
 * glibc gives threads their own arenas, and keeps them when the threads end: tens of MiB after many VMs (mallopt(3)).
 */
const FEW_ARENAS = { MALLOC_ARENA_MAX: '2' };

export type StartedManager = {
  /** Why it failed; null while it runs, or if it ended because another manager runs. */
  readonly failed: () => string | null;
  readonly foundAnother: () => boolean;
  readonly ended: () => boolean;
};

let first: StartedManager | null = null;

/**
 * Starts a manager where there never was one: no other can hold the socket or a lock. Errors about the folders are left
 * to the connection, which reports them.
 */
export function startFirstManager(): void {
  try {
    const paths = managerPaths();
    const { runtime, state, socket } = paths;
    const traces = [socket, managerLock(runtime), managerLock(state)];
    if (!traces.some(path => existsSync(path))) first = startManager(paths);
  } catch {}
}

/** The manager that `startFirstManager` started, for its first caller. */
export function takeFirstManager(): StartedManager | null {
  const taken = first;
  first = null;
  return taken;
}

/** Starts a manager that outlives this process and its terminal. */
export function startManager(paths: ManagerPaths): StartedManager {
  ensurePrivateFolder(paths.runtime);
  ensurePrivateFolder(paths.state);
  const log = openLog(paths.log);
  const { size: logBefore } = fstatSync(log);
  // In its own session, no terminal can send it SIGHUP or Ctrl-C.
  const child = spawn(process.execPath, [...managerProgram(), 'serve', '--background'], {
    cwd: '/',
    detached: true,
    stdio: ['ignore', log, log],
    env: { ...process.env, ...FEW_ARENAS, ...absoluteFolders() },
  });
  closeSync(log);
  child.unref();
  let failure: string | null = null;
  let foundAnother = false;
  child.on('error', error => {
    failure = error.message;
  });
  child.on('exit', (code, signal) => {
    if (code === 0) foundAnother = true;
    else failure = failureOf(code, signal, lastLines(paths.log, logBefore));
  });
  return {
    failed: () => failure,
    foundAnother: () => foundAnother,
    ended: () => foundAnother || failure !== null,
  };
}

/** @param said the last lines of its log, which say nothing of a signal */
function failureOf(code: number | null, signal: NodeJS.Signals | null, said: string): string {
  if (signal === null) return said || `it ended with exit status ${code}`;
  return `it was ended by ${signal}${said === '' ? '' : `; its log: ${said}`}`;
}

/** The folders that were chosen for this process, for one with another working folder. */
function absoluteFolders(env = process.env): Record<string, string> {
  const chosen = ['VRING_RUNTIME_DIR', 'VRING_STATE_DIR', 'VRING_DEFINITIONS_DIR'].filter(name => env[name]);
  return Object.fromEntries(chosen.map(name => [name, resolve(env[name]!)]));
}

function openLog(path: string): number {
  try {
    return openSync(path, 'a', 0o600);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new Error(
      `the manager's log ${path} cannot be written: ${codeText(code)}; choose another folder with VRING_STATE_DIR`,
    );
  }
}

/** Node's arguments to run this same program, from the bundles or from the sources. */
export function vringProgram(): string[] {
  return nodeWords(bundled ? 'dist/cli.js' : 'src/cli.ts');
}

function managerProgram(): string[] {
  return nodeWords(bundled ? 'dist/serve.cjs' : 'src/cli.ts');
}

function nodeWords(program: string): string[] {
  return ['--disable-sigusr1', '--disable-warning=ExperimentalWarning', join(projectRoot(), program)];
}

function lastLines(path: string, from: number): string {
  const said = readFileSync(path).subarray(from).toString().trim();
  const lines = said.split('\n').slice(-LAST_LINES);
  return lines.map(line => line.replace(/^vring: /, '')).join('\n');
}
