import type { ManagerInfo, VmInfo } from '../engine/engine.ts';
import type { CounterSource } from '../engine/sampling/counter-source.ts';
import { type Snapshot, takeSnapshot } from '../engine/sampling/snapshot.ts';
import { isAlive } from '../engine/vm-state.ts';
import { readHostLoad } from '../host/load.ts';
import { HostRoot } from '../host/root.ts';
import { version } from '../project-root.ts';
import { openMetrics } from './open-metrics.ts';

/** This host and the VMs of this process, as an OpenMetrics text. */
export function metricsNow(source: CounterSource & { readonly manager: ManagerInfo }): string {
  const vms = source.vms().map(info => ({ info, snapshot: snapshotOf(source, info) }));
  return openMetrics({
    version: version(),
    manager: source.manager,
    host: readHostLoad(new HostRoot()),
    vms,
  });
}

/** This host, and VMs that nobody runs. */
export function metricsWithoutManager(vms: readonly VmInfo[]): string {
  const facts = vms.map(info => ({ info, snapshot: null }));
  return openMetrics({ version: version(), manager: null, host: readHostLoad(new HostRoot()), vms: facts });
}

function snapshotOf(source: CounterSource, info: VmInfo): Snapshot | null {
  const snapshot = takeSnapshot(source, info.id, performance.now());
  // The threads of a VM that has ended are gone, and others may have their numbers.
  return snapshot === null || isAlive(info) ? snapshot : { ...snapshot, threads: [] };
}
