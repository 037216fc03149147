import { existsSync } from 'node:fs';
import { SlowManagerError } from '../engine/remote/manager-link.ts';
import { RemoteEngine } from '../engine/remote/remote-engine.ts';
import { thisTerminal } from '../engine/this-terminal.ts';
import { printError } from '../text/output.ts';
import { logoutWarning } from './kill-user-processes.ts';
import { checkPrivateFolder, managerPaths } from './paths.ts';
import { type StartedManager, startManager, takeFirstManager } from './start-manager.ts';

/** A manager that cannot start exits with an error: this limit is for one that hangs, and allows for a slow machine. */
const START_TIMEOUT_MS = 90_000;
const LOOK_EVERY_MS = 3;
/** After this, the machine is slow: poll less often, as the manager needs the CPU. */
const LOOK_LESS_AFTER_MS = 500;
/** How long a manager may take to notice that its socket is gone: it looks every five seconds. */
const SOCKET_WITHIN_MS = 8000;
const LOOK_LESS_EVERY_MS = 250;
const START_AGAIN_MS = 250;

export type ConnectOptions = {
  /** Refuse everything that changes a VM. */
  readonly readOnly?: boolean;
  /** How long the manager may be silent before it is reported as slow. */
  readonly patienceMs?: number;
};

/**
 * Attaches to the running manager.
 * @returns null if none runs
 * @throws with a sentence when it refuses, does not answer (SlowManagerError), or may not belong to this user
 */
export async function connect(options: ConnectOptions = {}): Promise<RemoteEngine | null> {
  const { readOnly = false, patienceMs } = options;
  const { runtime, socket } = managerPaths();
  if (checkPrivateFolder(runtime) === null) return nobody();
  try {
    return await RemoteEngine.attach({
      path: socket,
      terminal: thisTerminal(),
      readOnly,
      startManager: async () => (await start(options)).close(),
      ...(patienceMs !== undefined && { patienceMs }),
    });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // ECONNREFUSED: a killed manager left the file behind. ECONNRESET: the manager is just ending.
    if (code === 'ENOENT' || code === 'ECONNREFUSED' || code === 'ECONNRESET') return nobody();
    if (code === 'EAGAIN') throw backlogFull(socket);
    throw error;
  }
}

/**
 * Like `connect`, but waits for a manager whose socket's file was removed: it creates it again within seconds, and its
 * VMs are not off in the meantime.
 */
export async function connectSoon(options: ConnectOptions = {}): Promise<RemoteEngine | null> {
  const { socket } = managerPaths();
  const { isBound } = await import('./vm-lock.ts');
  for (const until = performance.now() + SOCKET_WITHIN_MS; ; ) {
    const engine = await connect(options);
    const isLost = engine === null && !existsSync(socket) && isBound(socket);
    if (!isLost || performance.now() > until) return engine;
    await new Promise(resolve => setTimeout(resolve, LOOK_LESS_EVERY_MS));
  }
}

/** @throws when a manager does run, but its socket cannot be found: its VMs are not off */
async function nobody(): Promise<null> {
  const { hostElsewhere, managerElsewhere } = await import('./vm-lock.ts');
  const paths = managerPaths();
  const host = hostElsewhere(paths);
  if (host !== null)
    throw new Error(
      `the VMs are run by ${host}, which serves no other terminal: use that one, or quit it first`,
    );
  const holder = managerElsewhere(paths);
  if (holder === null) return null;
  throw new Error(
    `the VMs of ${paths.state} are held by ${holder}, whose socket is not in ${paths.runtime}: set XDG_RUNTIME_DIR or VRING_RUNTIME_DIR to the same value, or stop that process`,
  );
}

/**
 * Attaches to the running manager, or starts one in the background.
 * @throws with a sentence, or with the new manager's output if it could not start
 */
export async function connectOrStart(options: ConnectOptions = {}): Promise<RemoteEngine> {
  const starting = takeFirstManager();
  const running = starting === null ? await connect(options) : null;
  if (running !== null) return running;
  const engine = await start(options, starting);
  const warning = logoutWarning();
  if (warning !== null) printError(`vring: ${warning}`);
  return engine;
}

/** @param starting the manager that was started already */
async function start(options: ConnectOptions, starting: StartedManager | null = null): Promise<RemoteEngine> {
  const paths = managerPaths();
  let started = starting ?? startManager(paths);
  const begun = performance.now();
  for (;;) {
    // While there is no socket, finding out why is only worth the time once that manager has ended.
    const engine = existsSync(paths.socket) || started.ended() ? await connect(options) : null;
    if (engine !== null) return engine;
    const failure = started.failed();
    if (failure !== null) throw new Error(`the manager could not start: ${failure}`);
    // The other manager does not listen: it is just starting, or about to end and make way for this one.
    if (started.foundAnother()) {
      await new Promise(resolve => setTimeout(resolve, START_AGAIN_MS));
      started = startManager(paths);
    }
    const waited = performance.now() - begun;
    if (waited > START_TIMEOUT_MS) {
      const seconds = START_TIMEOUT_MS / 1000;
      throw new Error(`the manager was started, but does not listen after ${seconds} s: see ${paths.log}`);
    }
    await new Promise(resolve =>
      setTimeout(resolve, waited < LOOK_LESS_AFTER_MS ? LOOK_EVERY_MS : LOOK_LESS_EVERY_MS),
    );
  }
}

/** Many clients have connected, and the manager has accepted none of them. */
function backlogFull(socket: string): Error {
  return new SlowManagerError(
    `the manager at ${socket} does not accept connections: it is busy, or stopped by a signal; see ps -C node -o pid,stat,args`,
    null,
  );
}
