import { OtherVersionError, SlowManagerError } from '../../engine/remote/manager-link.ts';
import { isRunning } from '../../engine/remote/manager-process.ts';
import type { RemoteEngine } from '../../engine/remote/remote-engine.ts';
import { type EngineEvent, isAlive } from '../../engine/vm-info.ts';
import { connect, connectOrStart } from '../../manager/connect.ts';
import { HOW_TO_MANAGE, unmanagedVms } from '../../manager/machines/unmanaged.ts';
import { printError } from '../../text/output.ts';
import { systemctlText } from '../../text/shell.ts';
import { print } from '../host/host-options.ts';
import { Progress } from '../vm/progress.ts';
import { type Fate, keepsVms, type Stopped } from './fate.ts';
import { refuseKillingUnit } from './kill-mode.ts';
import { killUnmanaged } from './kill-unmanaged.ts';
import { stopBySignal } from './stop-by-signal.ts';

export type StopOptions = {
  readonly timeout?: number;
  readonly force?: boolean;
  readonly keepVms?: boolean;
  readonly json?: boolean;
};

/** After closing its connections, the process only has to free its memory. */
const EXIT_TIMEOUT_MS = 30_000;
const LOOK_EVERY_MS = 20;

/** @returns the exit status */
export async function stop(options: StopOptions): Promise<number> {
  const stopped = await stopManager(options, options.keepVms ? 'keep' : 'off');
  const left = stopped === null ? namesOfUnmanaged() : stopped.kept;
  print(options, { stopped }, () => lines(stopped, left));
  return 0;
}

function lines(stopped: Stopped, left: readonly string[]): string[] {
  const running = left.length === 0 ? [] : [`running without a manager: ${left.join(', ')}`, HOW_TO_MANAGE];
  if (stopped === null) return ['no manager is running', ...running];
  const { status, vms } = stopped;
  const with_ = vms.length === 0 ? '' : `, and ${vms.length === 1 ? 'its VM' : 'its VMs'} ${vms.join(', ')}`;
  const again = status.unit === null ? [] : [`${systemctlText(status.unit, 'start')} restarts it`];
  return [`stopped the manager (process ${status.pid})${with_}`, ...(left.length > 0 ? running : again)];
}

function namesOfUnmanaged(): readonly string[] {
  return unmanagedVms().map(({ name }) => name);
}

/**
 * Stops the running manager, by its protocol or else by signal; resolves once its process is gone. If VMs are to be
 * stopped but no manager runs, one is started for them first.
 * @throws SlowManagerError if it does not respond, unless forced
 */
export async function stopManager(options: StopOptions, fate: Fate): Promise<Stopped> {
  let engine: RemoteEngine | null;
  try {
    engine = await connect();
  } catch (error) {
    if (error instanceof OtherVersionError)
      return stopBySignal(error.pid, { timeoutMs: guestLimit(options), fate });
    if (!(error instanceof SlowManagerError) || !options.force || error.pid === null) throw error;
    return killManager(error.pid, fate);
  }
  if (engine === null && !keepsVms(fate) && unmanagedVms().length > 0) engine = await connectOrStart();
  if (engine === null) return null;
  try {
    return await stopThis(engine, options, fate);
  } finally {
    await engine.close();
  }
}

/** How long guests may take to power off, in milliseconds; undefined for the manager's own setting. */
function guestLimit({ force, timeout }: StopOptions): number | undefined {
  return force ? 0 : timeout === undefined ? undefined : timeout * 1000;
}

async function stopThis(engine: RemoteEngine, options: StopOptions, fate: Fate): Promise<Stopped> {
  const status = await engine.managerStatus();
  if (keepsVms(fate) && status.unit !== null) await refuseKillingUnit(status.unit);
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
    keepsVms(fate) || up().length === 0
      ? 'stopping the manager'
      : `shutting down ${up()
          .map(vm => vm.name)
          .join(', ')}`,
  );
  try {
    await engine.stopManager({
      ...(fate === 'resume' && { resume: true }),
      ...(keepsVms(fate) && { keepVms: true }),
      ...(timeoutMs !== undefined && { timeoutMs }),
    });
    await ended.promise;
    await gone(status.pid);
  } finally {
    progress.end();
    unsubscribe();
  }
  return keepsVms(fate) ? { status, vms: [], killed, kept: vms } : { status, vms, killed, kept: [] };
}

/** Its VMs' processes outlive it. Which of them run is known only once it is gone. */
async function killManager(pid: number, fate: Fate): Promise<Stopped> {
  process.kill(pid, 'SIGKILL');
  await gone(pid);
  const status = { pid, unit: null };
  if (keepsVms(fate)) return { status, vms: [], killed: [], kept: namesOfUnmanaged() };
  const killed = await killUnmanaged();
  return { status, vms: killed, killed, kept: [] };
}

async function gone(pid: number): Promise<void> {
  const deadline = performance.now() + EXIT_TIMEOUT_MS;
  while (isRunning(pid)) {
    if (performance.now() > deadline)
      throw new Error(`the manager (process ${pid}) has ended its work but did not exit; see its log`);
    await new Promise(resolve => setTimeout(resolve, LOOK_EVERY_MS));
  }
}
