import type { HostSnapshot } from '../host-service/snapshot.ts';
import { hostFilter } from './host-lists.ts';
import type { SriovRow } from './host-rows.ts';

/** Physical functions, each with its virtual ones below. A filter that lets one of those through keeps it in sight. */
export function sriovRows(host: HostSnapshot, filter: string): readonly SriovRow[] {
  const lets = hostFilter<SriovRow>(host, 'sriov', filter);
  return [...host.physicalFunctions.values()].flatMap(physical => {
    const { address, vfs } = physical;
    const above: SriovRow = { key: address, address, physical, virtual: null, matches: true };
    const below = vfs
      .map(
        (virtual): SriovRow => ({
          key: virtual.address,
          address: virtual.address,
          physical,
          virtual,
          matches: true,
        }),
      )
      .filter(lets);
    const matches = lets(above);
    return below.length === 0 && !matches ? [] : [{ ...above, matches }, ...below];
  });
}
