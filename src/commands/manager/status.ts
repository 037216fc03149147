import { SlowManagerError } from '../../engine/remote/manager-link.ts';
import type { ManagerStatus } from '../../engine/remote/protocol.ts';
import type { RemoteEngine } from '../../engine/remote/remote-engine.ts';
import { isAlive, type VmInfo } from '../../engine/vm-info.ts';
import { connect } from '../../manager/connect.ts';
import { HOW_TO_MANAGE, unmanagedVms } from '../../manager/machines/unmanaged.ts';
import { managerPaths } from '../../manager/paths.ts';
import { readLastRun } from '../../manager/running-record.ts';
import { shellText, systemctlText } from '../../text/shell.ts';
import { bytes, uptime } from '../../text/units.ts';
import { print } from '../host/host-options.ts';

export type StatusOptions = { readonly json?: boolean };

const EXIT = { running: 0, slow: 1, none: 3 } as const;

type Facts = {
  readonly state: keyof typeof EXIT;
  readonly problem: string | null;
  readonly manager: ManagerStatus | null;
  readonly vms: readonly Pick<VmInfo, 'name' | 'state' | 'pid'>[];
  readonly interrupted: readonly string[];
};

/** @returns the exit status */
export async function status(options: StatusOptions): Promise<number> {
  const facts = await readFacts();
  print(options, facts, () => lines(facts));
  return EXIT[facts.state];
}

async function readFacts(): Promise<Facts> {
  let engine: RemoteEngine | null;
  try {
    engine = await connect({ readOnly: true });
  } catch (error) {
    if (!(error instanceof SlowManagerError)) throw error;
    return { state: 'slow', problem: error.message, manager: null, vms: [], interrupted: [] };
  }
  if (engine === null) {
    const { interrupted, problem } = readLastRun(managerPaths().state);
    const running = unmanagedVms();
    const vms = running.map(({ name, pid }) => ({ name, state: 'running' as const, pid }));
    const names = interrupted
      .map(vm => vm.name)
      .filter(name => !running.some(machine => machine.name === name));
    return { state: 'none', problem, manager: null, vms, interrupted: names };
  }
  try {
    const vms = engine.vms();
    return {
      state: 'running',
      problem: null,
      manager: await engine.managerStatus(),
      vms: vms.map(({ name, state, pid }) => ({ name, state, pid })),
      interrupted: vms.filter(vm => vm.interrupted).map(vm => vm.name),
    };
  } finally {
    await engine.close();
  }
}

function lines({ manager, problem, vms, interrupted }: Facts): string[] {
  const again =
    interrupted.length === 0
      ? []
      : [`ended unexpectedly: ${interrupted.join(', ')}; restart them with vring manager restart`];
  if (manager === null) {
    const running = vms.map(({ name, pid }) => `${name} (process ${pid})`).join(', ');
    const unmanaged = running === '' ? [] : [`running without a manager: ${running}`, HOW_TO_MANAGE];
    return [problem ?? 'no manager is running', ...unmanaged, ...again];
  }
  const { pid, version, startedAt, unit, socket, log, metrics, memoryBytes, clients, stopping } = manager;
  const up = vms.filter(vm => isAlive(vm)).length;
  const unitName = unit === null ? null : systemctlText(unit, 'status');
  return [
    `manager   ${stopping ? 'stopping' : 'running'}, process ${pid}, vring ${version}`,
    `since     ${new Date(startedAt).toISOString()} (${uptime(Date.now() - startedAt)})`,
    ...(unitName === null ? [] : [`service   ${unit!.name} (${unitName})`]),
    `VMs       ${up} up, ${vms.length - up} down`,
    `memory    ${bytes(memoryBytes)} resident, without the VMs`,
    `clients   ${clients - 1}`,
    `socket    ${socket}`,
    `log       ${log ?? (unit === null ? 'stderr' : shellText(['journalctl', ...(unit.user ? ['--user'] : []), '-u', unit.name]))}`,
    `metrics   ${metrics ?? 'not served'}`,
    ...again,
  ];
}
