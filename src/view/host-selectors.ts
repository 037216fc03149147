import type { HostSnapshot } from '../host-service/snapshot.ts';
import type { AppState } from '../store/app-store.ts';
import type { HostList } from '../store/screens.ts';
import { currentScreen, shownList } from '../store/ui-slice.ts';
import { doctorRows } from './host-doctor-rows.ts';
import type { HostRow } from './host-filter.ts';
import { groupRows } from './host-iommu-rows.ts';
import { pciRows } from './host-pci-rows.ts';
import { flatPciRows, sortedHostRows } from './host-sort.ts';
import { sriovRows } from './host-sriov-rows.ts';
import { vfioRows } from './host-vfio-rows.ts';
import { memoized } from './memoized.ts';

/** Makes the selectors of one store; each keeps its last result. */
export function createHostSelectors() {
  const filtered = <Row extends HostRow>(
    list: HostList,
    rows: (host: HostSnapshot, filter: string) => readonly Row[],
  ) =>
    memoized(
      state => [state.host, state.hostFilters[list] ?? '', state.sorts[list]] as const,
      (host, filter, sort): readonly Row[] => {
        if (host === null) return [];
        return sort === undefined ? rows(host, filter) : sortedHostRows(list, rows(host, filter), host, sort);
      },
    );

  const pci = memoized(
    state => [state.host, state.toggled, state.hostFilters.pci ?? '', state.sorts.pci] as const,
    (host, toggled, filter, sort) => {
      if (host === null) return [];
      if (sort === undefined) return pciRows(host, { toggled, filter });
      return sortedHostRows('pci', flatPciRows(host, filter), host, sort);
    },
  );
  /** Lines of the PCI tree that match the filter, without those that are there for them. */
  const matches = memoized(
    state => [pci(state)] as const,
    rows => rows.filter(row => row.matches).length,
  );
  const iommu = filtered('iommu', groupRows);
  const sriov = filtered('sriov', sriovRows);
  const vfio = filtered('vfio', vfioRows);
  const doctor = filtered('doctor', doctorRows);
  const lists: Readonly<Record<HostList, (state: AppState) => readonly HostRow[]>> = {
    pci,
    iommu,
    sriov,
    vfio,
    doctor,
  };

  /** Row of the list's cursor; where the cursor was when that row is gone. */
  const cursorRow = (state: AppState, list: HostList): number => {
    const cursor = state.hostCursors[list];
    if (cursor === undefined) return 0;
    const rows = lists[list](state);
    const at =
      rows[cursor.index]?.key === cursor.key ? cursor.index : rows.findIndex(row => row.key === cursor.key);
    return at >= 0 ? at : Math.max(0, Math.min(cursor.index, rows.length - 1));
  };

  /** The row that the cursor of the shown list is on. */
  const rowAtCursor = (state: AppState): HostRow | null => {
    const list = shownList(state);
    return list === null ? null : (lists[list](state)[cursorRow(state, list)] ?? null);
  };

  /** The function that is shown, or under the cursor. */
  const functionAtCursor = (state: AppState): string | null => {
    const screen = currentScreen(state);
    return screen.kind === 'function' ? screen.address : (rowAtCursor(state)?.address ?? null);
  };

  /** The functions that a command is for: the marked ones of a list, or the one at the cursor. */
  const targets = (state: AppState): readonly string[] => {
    if (state.marked.size > 0 && shownList(state) !== null) return [...state.marked].sort();
    const address = functionAtCursor(state);
    return address === null ? [] : [address];
  };

  /** Are some addresses in another domain than 0? Then all are written with it. */
  const withDomains = memoized(
    state => [state.host?.functions] as const,
    functions => [...(functions?.keys() ?? [])].some(address => !address.startsWith('0000:')),
  );

  return {
    pci,
    matches,
    iommu,
    sriov,
    vfio,
    doctor,
    lists,
    cursorRow,
    rowAtCursor,
    functionAtCursor,
    targets,
    withDomains,
  };
}

export type HostSelectors = ReturnType<typeof createHostSelectors>;
