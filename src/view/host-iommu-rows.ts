import type { HostSnapshot } from '../host-service/snapshot.ts';
import { functionFilter } from './host-filter.ts';

/** A member of an IOMMU group. */
export type GroupRow = {
  readonly key: string;
  /** Null for a member that is on no PCI bus. */
  readonly address: string | null;
  /** Address, or name on another bus. */
  readonly name: string;
  readonly group: number;
  /** Its place among the members that are shown. */
  readonly place: 'only' | 'first' | 'middle' | 'last';
};

/** The members of all groups, group by group. */
export function groupRows(host: HostSnapshot, filter: string): readonly GroupRow[] {
  const lets = functionFilter(host, filter);
  return [...host.groups.values()].flatMap(({ id, members, others }) => {
    const names = [...members, ...others].filter(lets);
    return names.map((name, index) => ({
      key: `${id} ${name}`,
      address: host.functions.has(name) ? name : null,
      name,
      group: id,
      place: placeOf(index, names.length),
    }));
  });
}

function placeOf(index: number, count: number): GroupRow['place'] {
  if (count === 1) return 'only';
  if (index === 0) return 'first';
  return index === count - 1 ? 'last' : 'middle';
}
