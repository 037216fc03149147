import type { ManagerInfo, MetricsFormat } from '../engine/engine.ts';
import type { CounterSource } from '../engine/sampling/counter-source.ts';
import { type Snapshot, takeSnapshot } from '../engine/sampling/snapshot.ts';
import type { VmInfo } from '../engine/vm-info.ts';
import { isAlive } from '../engine/vm-info.ts';
import { readHostLoad } from '../host/load.ts';
import { HostRoot } from '../host/root.ts';
import { version } from '../project-root.ts';
import { exposition } from './exposition.ts';

/** This host and the VMs of this process. All counters are copied first, so that they are from the same moment. */
export async function metricsNow(
  source: CounterSource & { readonly manager: ManagerInfo },
  format: MetricsFormat,
): Promise<string> {
  const vms = source.vms().map(info => ({ info, snapshot: snapshotOf(source, info) }));
  const host = readHostLoad(new HostRoot());
  return exposition({ version: version(), manager: source.manager, host, vms }, format);
}

/** This host and its VMs while no manager runs. */
export async function metricsWithoutManager(vms: readonly VmInfo[], format: MetricsFormat): Promise<string> {
  const facts = vms.map(info => ({ info, snapshot: null }));
  const host = readHostLoad(new HostRoot());
  return exposition({ version: version(), manager: null, host, vms: facts }, format);
}

function snapshotOf(source: CounterSource, info: VmInfo): Snapshot | null {
  const snapshot = takeSnapshot(source, info.id, performance.now(), isAlive(info));
  // The threads of a VM that has ended are gone, and others may have their ids.
  return snapshot === null || isAlive(info) ? snapshot : { ...snapshot, threads: [] };
}
