import { setTimeout } from 'node:timers/promises';
import { execa } from 'execa';
import type { ManagerStatus } from '../../engine/remote/protocol.ts';
import type { RemoteEngine } from '../../engine/remote/remote-engine.ts';
import { isAlive, otherVersion, type VmInfo } from '../../engine/vm-info.ts';
import { connect, connectOrStart } from '../../manager/connect.ts';
import { unmanagedVms } from '../../manager/machines/unmanaged.ts';
import { systemctlText } from '../../text/shell.ts';
import { print } from '../host/host-options.ts';
import { Progress } from '../vm/progress.ts';
import { until } from '../vm/until.ts';
import { type StopOptions, stopManager } from './stop.ts';

export type RestartOptions = Omit<StopOptions, 'keepVms'> & { readonly withVms?: boolean };

/** A VM counts as running once its machine is built. */
const START_TIMEOUT_MS = 120_000;
/** From the unit's start to its socket. */
const UNIT_TIMEOUT_MS = 60_000;
const LOOK_EVERY_MS = 50;

type Result = Pick<VmInfo, 'name' | 'state' | 'reason'> & {
  /** It kept running throughout. */
  readonly kept: boolean;
};

/** @returns the exit status */
export async function restart(options: RestartOptions): Promise<number> {
  const stopped = await stopManager(options, options.withVms ? 'resume' : 'replace');
  const kept = new Set(stopped === null ? unmanagedVms().map(({ name }) => name) : stopped.kept);
  const unit = stopped?.status.unit ?? null;
  const engine = unit === null ? await connectOrStart() : await startUnit(unit);
  const progress = new Progress(() => 'starting VMs');
  try {
    const interrupted = engine.vms().filter(vm => vm.interrupted);
    for (const { id } of interrupted) engine.restart(id).catch(() => {}); // its state and reason show the failure
    const names = [...(stopped?.vms ?? []), ...kept, ...interrupted.map(vm => vm.name)].sort();
    const vms: Result[] = [];
    for (const name of new Set(names)) {
      await until(engine, name, vm => isSettled(vm, kept.has(name)), START_TIMEOUT_MS);
      const vm = engine.vms().find(vm => vm.name === name);
      vms.push({ name, state: vm?.state ?? 'off', reason: vm?.reason ?? null, kept: kept.has(name) });
    }
    progress.end();
    print(options, { manager: await engine.managerStatus(), vms }, () => [
      ...lines(engine.manager.pid, vms),
      ...upgradeHint(engine),
    ]);
    return vms.every(isWell) ? 0 : 1;
  } finally {
    progress.end();
    await engine.close();
  }
}

/** It has started or failed to; for one that kept running, its state is known. */
function isSettled(vm: VmInfo | undefined, kept: boolean): boolean {
  if (vm === undefined) return kept;
  if (vm.interrupted) return kept;
  if (kept) return vm.state !== 'starting';
  return vm.state === 'running' || (!isAlive(vm) && vm.startedAt !== null);
}

function isWell({ state, kept }: Result): boolean {
  return state === 'running' || (kept && (state === 'paused' || state === 'suspended'));
}

/** Starts the manager's systemd unit, and attaches to it. @throws when it does not start or listen */
async function startUnit(unit: NonNullable<ManagerStatus['unit']>): Promise<RemoteEngine> {
  const { name, user } = unit;
  const args = [...(user ? ['--user'] : []), 'start', name];
  const { failed, stderr } = await execa('systemctl', args, { reject: false });
  if (failed) throw new Error(`${systemctlText(unit, 'start')} failed: ${stderr || 'no reason given'}`);
  // Never start another manager instead: the unit would find the runtime folder taken, and fail.
  const deadline = performance.now() + UNIT_TIMEOUT_MS;
  while (performance.now() < deadline) {
    const engine = await connect();
    if (engine !== null) return engine;
    await setTimeout(LOOK_EVERY_MS);
  }
  throw new Error(
    `systemd started ${name}, but it does not listen after ${UNIT_TIMEOUT_MS / 1000} s: see ${systemctlText(unit, 'status')}`,
  );
}

/** VMs that keep running an earlier version. */
function upgradeHint(engine: RemoteEngine): string[] {
  const old = engine.vms().filter(vm => otherVersion(vm, engine.manager.version) !== null);
  if (old.length === 0) return [];
  const names = old.map(vm => `${vm.name} (${vm.version})`).join(', ');
  return [
    `of another version: ${names}; vring vm upgrade --all hands them to ${engine.manager.version} while they run`,
  ];
}

function lines(pid: number, vms: readonly Result[]): string[] {
  return [
    `the manager is running as process ${pid}`,
    ...vms.map(vm => {
      const { name, state, reason, kept } = vm;
      if (!isWell(vm)) return `${name} is ${state}: ${reason ?? 'see vring vm events'}`;
      return kept
        ? `${name} kept running${state === 'running' ? '' : `, and is ${state}`}`
        : `${name} is running`;
    }),
  ];
}
