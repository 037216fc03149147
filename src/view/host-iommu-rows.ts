import type { HostSnapshot } from '../host-service/snapshot.ts';
import { hostFilter } from './host-lists.ts';
import type { GroupRow } from './host-rows.ts';

/** The members of all groups, group by group. */
export function groupRows(host: HostSnapshot, filter: string): readonly GroupRow[] {
  const lets = hostFilter<GroupRow>(host, 'iommu', filter);
  return [...host.groups.values()].flatMap(({ id, members, others }) => {
    const shown = [...members, ...others].map(name => rowOf(host, id, name)).filter(lets);
    return shown.map((row, index) => ({ ...row, place: placeOf(index, shown.length) }));
  });
}

/** One member, by itself. */
function rowOf(host: HostSnapshot, group: number, name: string): GroupRow {
  const address = host.functions.has(name) ? name : null;
  return { key: `${group} ${name}`, address, name, group, place: 'only' };
}

/** The members without the brackets that hold groups together, which have no meaning in another order. */
export function apart(rows: readonly GroupRow[]): readonly GroupRow[] {
  return rows.map(row => ({ ...row, place: 'only' }));
}

function placeOf(index: number, count: number): GroupRow['place'] {
  if (count === 1) return 'only';
  if (index === 0) return 'first';
  return index === count - 1 ? 'last' : 'middle';
}
