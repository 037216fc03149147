import { RemoteEngine } from '../engine/remote/remote-engine.ts';
import { thisTerminal } from '../engine/this-terminal.ts';
import { printError } from '../text/output.ts';
import { logoutWarning } from './kill-user-processes.ts';
import { checkPrivateFolder, managerPaths } from './paths.ts';
import { startManager } from './start-manager.ts';

/** A manager that can't start ends, and says why: this is for one that hangs, and long enough for a slow machine. */
const START_TIMEOUT_MS = 90_000;
const LOOK_EVERY_MS = 10;
/** By then a machine is slow, and its CPU is the manager's. */
const LOOK_LESS_AFTER_MS = 500;
const LOOK_LESS_EVERY_MS = 250;
const START_AGAIN_MS = 250;

export type ConnectOptions = {
  /** Everything that changes a VM is refused. */
  readonly readOnly?: boolean;
};

/**
 * Attaches to the manager that runs.
 * @returns null when there is none
 * @throws with a sentence when it refuses, or can't be trusted to be this user's
 */
export async function connect({ readOnly = false }: ConnectOptions = {}): Promise<RemoteEngine | null> {
  const { runtime, socket } = managerPaths();
  if (checkPrivateFolder(runtime) === null) return null;
  try {
    return await RemoteEngine.attach({ path: socket, terminal: thisTerminal(), readOnly });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // ECONNREFUSED: the file is left over from a manager that was killed. ECONNRESET: one that is just ending.
    if (code === 'ENOENT' || code === 'ECONNREFUSED' || code === 'ECONNRESET') return null;
    throw error;
  }
}

/**
 * Attaches to the manager that runs, or to one that is started in the background.
 * @throws with a sentence; with what the new manager had to say when it could not start
 */
export async function connectOrStart(options: ConnectOptions = {}): Promise<RemoteEngine> {
  const running = await connect(options);
  if (running !== null) return running;
  const paths = managerPaths();
  let started = startManager(paths);
  const begun = Date.now();
  for (;;) {
    const engine = await connect(options);
    if (engine !== null) {
      const warning = logoutWarning();
      if (warning !== null) printError(`vring: ${warning}`);
      return engine;
    }
    const failure = started.failed();
    if (failure !== null) throw new Error(`the process that is to own the VMs could not start: ${failure}`);
    // Which does not listen, so it has begun, or is about to end: then it is this one's turn.
    if (started.foundAnother()) {
      await new Promise(resolve => setTimeout(resolve, START_AGAIN_MS));
      started = startManager(paths);
    }
    const waited = Date.now() - begun;
    if (waited > START_TIMEOUT_MS)
      throw new Error(`the process that is to own the VMs does not answer: see ${paths.log}`);
    await new Promise(resolve =>
      setTimeout(resolve, waited < LOOK_LESS_AFTER_MS ? LOOK_EVERY_MS : LOOK_LESS_EVERY_MS),
    );
  }
}
