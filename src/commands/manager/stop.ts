import { OtherVersionError, SlowManagerError } from '../../engine/remote/manager-link.ts';
import { isRunning } from '../../engine/remote/manager-process.ts';
import type { ManagerStatus } from '../../engine/remote/protocol.ts';
import type { RemoteEngine } from '../../engine/remote/remote-engine.ts';
import { type EngineEvent, isAlive } from '../../engine/vm-info.ts';
import { connect } from '../../manager/connect.ts';
import { printError } from '../../text/output.ts';
import { systemctlText } from '../../text/shell.ts';
import { print } from '../host/host-options.ts';
import { Progress } from '../vm/progress.ts';
import { stopBySignal } from './stop-by-signal.ts';

export type StopOptions = {
  readonly timeout?: number;
  readonly force?: boolean;
  readonly json?: boolean;
};

/** What was stopped; null if no manager was running. */
export type Stopped = {
  readonly status: Pick<ManagerStatus, 'pid' | 'unit'>;
  /** Names of the VMs that ran. */
  readonly vms: readonly string[];
  /** Those among them that were killed. */
  readonly killed: readonly string[];
} | null;

/** After closing its connections, the process only has to free its memory. */
const EXIT_TIMEOUT_MS = 30_000;
const LOOK_EVERY_MS = 20;

/** @returns the exit status */
export async function stop(options: StopOptions): Promise<number> {
  const stopped = await stopManager(options, { resume: false });
  print(options, { stopped }, () => lines(stopped));
  return 0;
}

function lines(stopped: Stopped): string[] {
  if (stopped === null) return ['no manager is running'];
  const { status, vms } = stopped;
  const with_ = vms.length === 0 ? '' : `, and ${vms.length === 1 ? 'its VM' : 'its VMs'} ${vms.join(', ')}`;
  const again = status.unit === null ? [] : [`${systemctlText(status.unit, 'start')} restarts it`];
  return [`stopped the manager (process ${status.pid})${with_}`, ...again];
}

/**
 * Stops the manager that runs, with its VMs, by its protocol or else by signal; resolves when its process is gone.
 * @param resume the next manager starts these VMs
 * @throws SlowManagerError if it does not respond, unless forced
 */
export async function stopManager(options: StopOptions, { resume }: { resume: boolean }): Promise<Stopped> {
  let engine: RemoteEngine | null;
  try {
    engine = await connect();
  } catch (error) {
    if (error instanceof OtherVersionError)
      return stopBySignal(error.pid, { timeoutMs: guestLimit(options), resume });
    if (!(error instanceof SlowManagerError) || !options.force || error.pid === null) throw error;
    return killManager(error.pid);
  }
  if (engine === null) return null;
  try {
    return await stopThis(engine, options, resume);
  } finally {
    await engine.close();
  }
}

/** Milliseconds for the guests to power off; undefined: as the manager was started. */
function guestLimit({ force, timeout }: StopOptions): number | undefined {
  return force ? 0 : timeout === undefined ? undefined : timeout * 1000;
}

async function stopThis(engine: RemoteEngine, options: StopOptions, resume: boolean): Promise<Stopped> {
  const status = await engine.managerStatus();
  const up = () => engine.vms().filter(isAlive);
  const vms = up().map(vm => vm.name);
  const timeoutMs = guestLimit(options);
  const killed: string[] = [];
  const ended = Promise.withResolvers<void>();
  const notice = (event: EngineEvent) => {
    if (event.kind === 'log' && event.entry.level === 'warning' && event.entry.vm === null) {
      progress.clear();
      printError(`vring: ${event.entry.text}`);
    }
    if (event.kind === 'vm' && event.vm.state === 'stopping') killed.push(event.vm.name);
    if (event.kind === 'link' && event.loss !== null && event.loss.kind !== 'slow') ended.resolve();
  };
  const unsubscribe = engine.subscribe(notice);
  const progress = new Progress(() =>
    up().length === 0
      ? 'stopping the manager'
      : `shutting down ${up()
          .map(vm => vm.name)
          .join(', ')}`,
  );
  try {
    await engine.stopManager({ resume, ...(timeoutMs !== undefined && { timeoutMs }) });
    await ended.promise;
    await gone(status.pid);
  } finally {
    progress.end();
    unsubscribe();
  }
  return { status, vms, killed };
}

async function killManager(pid: number): Promise<Stopped> {
  process.kill(pid, 'SIGKILL');
  await gone(pid);
  return { status: { pid, unit: null }, vms: [], killed: [] };
}

async function gone(pid: number): Promise<void> {
  const deadline = Date.now() + EXIT_TIMEOUT_MS;
  while (isRunning(pid)) {
    if (Date.now() > deadline)
      throw new Error(`the manager (process ${pid}) stopped its VMs but did not exit; see its log`);
    await new Promise(resolve => setTimeout(resolve, LOOK_EVERY_MS));
  }
}
