import type { HostSnapshot } from '../host-service/snapshot.ts';
import type { RowSource } from './host-lists.ts';
import type { GroupRow } from './host-rows.ts';

/** The members of all groups, group by group. */
export const GROUP_MEMBERS: RowSource<GroupRow> = {
  list: 'iommu',
  rows: host =>
    [...host.groups.values()].flatMap(({ id, members, others }) =>
      [...members, ...others].map(name => rowOf(host, id, name)),
    ),
};

/** The rows with brackets that join the visible members of each group. */
export function inGroups(rows: readonly GroupRow[]): readonly GroupRow[] {
  return rows.map((row, index) => {
    const follows = rows[index - 1]?.group === row.group;
    const goesOn = rows[index + 1]?.group === row.group;
    if (!follows && !goesOn) return row;
    return { ...row, place: follows ? (goesOn ? 'middle' : 'last') : 'first' };
  });
}

/** One member on its own. */
function rowOf(host: HostSnapshot, group: number, name: string): GroupRow {
  const address = host.functions.has(name) ? name : null;
  return { key: `${group} ${name}`, address, name, group, place: 'only' };
}
