import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterEach, beforeEach } from 'vitest';
import type { RemoteEngine } from '../../src/engine/remote/remote-engine.ts';
import { connect } from '../../src/manager/connect.ts';
import { builtFile } from '../../src/project-root.ts';
import { killMachinesIn } from './left-machines.ts';
import { temporaryFolder } from './temporary-folder.ts';
import { until } from './until.ts';

export const NODE = [process.execPath, '--disable-warning=ExperimentalWarning'];
const MANAGER = join(import.meta.dirname, '../../src/cli.ts');

/** Separate folders for each test, in the environment of this process and its children. */
export function withOwnFolders(): void {
  beforeEach(() => {
    const folder = temporaryFolder();
    process.env.VRING_RUNTIME_DIR = join(folder, 'run');
    process.env.VRING_STATE_DIR = join(folder, 'state');
    process.env.VRING_DEFINITIONS_DIR = join(folder, 'vms');
    mkdirSync(process.env.VRING_DEFINITIONS_DIR);
  });
}

const cleanUps: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
  const { VRING_RUNTIME_DIR: runtime } = process.env;
  if (runtime !== undefined) killMachinesIn(runtime);
});

/** `vring serve ARGS` as systemd would start it, or with `--background` as a client would. */
export function startManager(args: readonly string[] = [], env: Readonly<Record<string, string>> = {}) {
  const [node, ...nodeArgs] = NODE;
  const manager = execa(node!, [...nodeArgs, MANAGER, 'serve', ...args], {
    reject: false,
    stdin: 'ignore',
    timeout: 60_000,
    killSignal: 'SIGKILL',
    env,
  });
  cleanUps.push(async () => {
    manager.kill('SIGKILL');
    await manager;
  });
  return manager;
}

/** Attaches to the manager, which must be there soon. */
export async function attached(options: { readOnly?: boolean } = {}): Promise<RemoteEngine> {
  for (let tries = 0; tries < 400; tries++) {
    const engine = await connect(options);
    if (engine !== null) return leftAtEnd(engine);
    await new Promise(resolve => setTimeout(resolve, 25));
  }
  throw new Error(`no manager answers; its log says:\n${managerLog()}`);
}

export function leftAtEnd(engine: RemoteEngine): RemoteEngine {
  cleanUps.push(() => engine.close());
  return engine;
}

/** Makes sure that the process is gone after the test, whatever its outcome. */
export function killedAtEnd(pid: number): void {
  cleanUps.push(async () => {
    if (isRunning(pid)) process.kill(pid, 'SIGKILL');
    await until(() => !isRunning(pid));
  });
}

export function isRunning(pid: number): boolean {
  try {
    // A zombie is in state Z.
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'latin1'));
  } catch {
    return false;
  }
}

export function managerLog(): string {
  try {
    return readFileSync(join(process.env.VRING_STATE_DIR!, 'manager.log'), 'utf8');
  } catch {
    return '';
  }
}

/** The embedded guest; it waits at its prompt, or does what `append` says. */
export function guest(name: string, append = '') {
  return {
    name,
    memory: { bytes: 32 * 2 ** 20 },
    boot: { kind: 'kernel' as const, path: builtFile('guest.elf'), append },
  };
}
