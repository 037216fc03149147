import type { PhysicalFunction, VirtualFunction } from '../host/sriov/read.ts';
import type { HostSnapshot } from '../host-service/snapshot.ts';
import { functionFilter } from './host-filter.ts';

/** A function that can have virtual ones, or one of those. */
export type SriovRow = {
  readonly key: string;
  readonly address: string;
  readonly physical: PhysicalFunction;
  /** Null for the physical function itself. */
  readonly virtual: VirtualFunction | null;
};

/** Physical functions, each with its virtual ones below. A filter that lets one of those through keeps it in sight. */
export function sriovRows(host: HostSnapshot, filter: string): readonly SriovRow[] {
  const lets = functionFilter(host, filter);
  return [...host.physicalFunctions.values()].flatMap(physical => {
    const { address, vfs } = physical;
    const below = vfs
      .filter(vf => lets(vf.address))
      .map(virtual => ({ key: virtual.address, address: virtual.address, physical, virtual }));
    if (below.length === 0 && !lets(address)) return [];
    return [{ key: address, address, physical, virtual: null }, ...below];
  });
}
