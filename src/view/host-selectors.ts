import { isDeepStrictEqual } from 'node:util';
import type { AppState } from '../store/app-store.ts';
import { filterOf } from '../store/list-slice.ts';
import type { HostList, ListCursor } from '../store/screens.ts';
import { currentScreen, shownList } from '../store/ui-slice.ts';
import { type DeviceOwners, deviceOwners, type HostView } from './device-owners.ts';
import { DOCTOR_FINDINGS } from './host-doctor-rows.ts';
import { GROUP_MEMBERS, inGroups } from './host-iommu-rows.ts';
import { filteredRows, prepareFilter, type RowSource, sortedHostRows } from './host-lists.ts';
import { PCI_FUNCTIONS, PCI_TREE, pciRows } from './host-pci-rows.ts';
import type { HostRow } from './host-rows.ts';
import { SRIOV_FUNCTIONS } from './host-sriov-rows.ts';
import { VFIO_FUNCTIONS } from './host-vfio-rows.ts';
import { memoized } from './memoized.ts';

/** A number about the rows of a list, found once: a filter that is taken back has the same rows again. */
function perRows<Row>(
  rows: (state: AppState) => readonly Row[],
  find: (rows: readonly Row[]) => number,
): (state: AppState) => number {
  const known = new WeakMap<readonly Row[], number>();
  return state => {
    const now = rows(state);
    const found = known.get(now) ?? find(now);
    known.set(now, found);
    return found;
  };
}

/** The first row that matches the filter itself, rather than because of one below it. */
function firstMatch(rows: readonly HostRow[]): number {
  return Math.max(
    0,
    rows.findIndex(({ matches }) => matches !== false),
  );
}

/** Whether a filter is being typed. */
function isTyped({ layers }: AppState): boolean {
  const layer = layers.at(-1);
  return layer?.kind === 'field' && layer.purpose === 'filter';
}

/** The row of a cursor; -1 if it is gone. */
function placeOf({ key, index }: ListCursor, rows: readonly HostRow[]): number {
  return rows[index]?.key === key ? index : rows.findIndex(row => row.key === key);
}

export type AddressStyle = { readonly withDomain: boolean; readonly cells: number };

/** Creates the selectors of one store; each caches its last result. */
export function createHostSelectors() {
  let lastOwners: DeviceOwners = new Map();
  /** The VMs that functions belong to: the same table until that changes. */
  const owners = memoized(
    state => [state.infos] as const,
    infos => {
      const now = deviceOwners(Object.values(infos));
      if (!isDeepStrictEqual(now, lastOwners)) lastOwners = now;
      return lastOwners;
    },
  );
  /** The host as last read, with its functions' owners; null before the first read. */
  const view = memoized(
    state => [state.host, owners(state)] as const,
    (host, owners): HostView | null => (host === null ? null : { ...host, owners }),
  );
  const filtered = <Row extends HostRow>(
    source: RowSource<Row>,
    inOwnOrder: (rows: readonly Row[]) => readonly Row[] = rows => rows,
  ) =>
    memoized(
      state => [view(state), filterOf(state, source.list), state.sorts[source.list]] as const,
      (host, filter, sort): readonly Row[] => {
        if (host === null) return [];
        const rows = filteredRows(source, host, filter);
        return sort === undefined ? inOwnOrder(rows) : sortedHostRows(source.list, rows, host, sort);
      },
    );

  const pci = memoized(
    state => [view(state), state.toggled, filterOf(state, 'pci'), state.sorts.pci] as const,
    (host, toggled, filter, sort) => {
      if (host === null) return [];
      if (sort === undefined) return pciRows(host, { toggled, filter });
      return sortedHostRows('pci', filteredRows(PCI_FUNCTIONS, host, filter), host, sort);
    },
  );
  /** The lines of the PCI tree that match the filter themselves. */
  const matches = perRows(pci, rows => rows.reduce((sum, row) => sum + Number(row.matches), 0));
  const iommu = filtered(GROUP_MEMBERS, inGroups);
  const sriov = filtered(SRIOV_FUNCTIONS);
  const vfio = filtered(VFIO_FUNCTIONS);
  const doctor = filtered(DOCTOR_FINDINGS);
  const lists: Readonly<Record<HostList, (state: AppState) => readonly HostRow[]>> = {
    pci,
    iommu,
    sriov,
    vfio,
    doctor,
  };

  /** Prepares the filter of the list that is shown, while `goOn` allows. @returns whether it is done */
  const prepareShownFilter = (state: AppState, goOn: () => boolean): boolean => {
    const host = view(state);
    const { sorts } = state;
    const list = shownList(state);
    if (host === null || list === null) return true;
    if (list === 'pci') return prepareFilter(sorts.pci === undefined ? PCI_TREE : PCI_FUNCTIONS, host, goOn);
    if (list === 'iommu') return prepareFilter(GROUP_MEMBERS, host, goOn);
    if (list === 'sriov') return prepareFilter(SRIOV_FUNCTIONS, host, goOn);
    return list === 'vfio' ? prepareFilter(VFIO_FUNCTIONS, host, goOn) : true;
  };

  const cursorRowOf = (list: HostList) =>
    memoized(
      state =>
        [lists[list](state), state.hostCursors[list], filterOf(state, list) !== '', isTyped(state)] as const,
      (rows, cursor, filtered, typed) => {
        const at = cursor === undefined ? -1 : placeOf(cursor, rows);
        // A row above those that match is where the cursor was, not what is looked for.
        if (at >= 0 && !(typed && filtered && rows[at]!.matches === false)) return at;
        if (filtered) return firstMatch(rows);
        return cursor === undefined ? 0 : Math.max(0, Math.min(cursor.index, rows.length - 1));
      },
    );
  const cursorRows: Readonly<Record<HostList, (state: AppState) => number>> = {
    pci: cursorRowOf('pci'),
    iommu: cursorRowOf('iommu'),
    sriov: cursorRowOf('sriov'),
    vfio: cursorRowOf('vfio'),
    doctor: cursorRowOf('doctor'),
  };
  /** Row of the list's cursor: its old place if the row is gone, the first match if the filter hides it. */
  const cursorRow = (state: AppState, list: HostList): number => cursorRows[list](state);

  /** The row under the cursor of the list that is shown. */
  const rowAtCursor = (state: AppState): HostRow | null => {
    const list = shownList(state);
    return list === null ? null : (lists[list](state)[cursorRow(state, list)] ?? null);
  };

  /** The function that is shown, or under the cursor. */
  const functionAtCursor = (state: AppState): string | null => {
    const screen = currentScreen(state);
    return screen.kind === 'function' ? screen.address : (rowAtCursor(state)?.address ?? null);
  };

  /** The functions that a command applies to: those marked in a list, or the one at the cursor. */
  const targets = (state: AppState): readonly string[] => {
    if (state.marked.size > 0 && shownList(state) !== null) return [...state.marked].sort();
    const address = functionAtCursor(state);
    return address === null ? [] : [address];
  };

  /** How addresses are written: with the domain if any is not 0; and the width of the longest one in cells. */
  const addresses = memoized(
    state => [state.host?.functions] as const,
    (functions): AddressStyle => {
      const all = [...(functions?.keys() ?? [])];
      const withDomain = all.some(address => !address.startsWith('0000:'));
      const longest = all.reduce((most, address) => Math.max(most, address.length), '0000:00:00.0'.length);
      return { withDomain, cells: withDomain ? longest : '00:00.0'.length };
    },
  );
  /** The depth of the visible PCI tree. */
  const pciDepth = perRows(pci, rows => rows.reduce((most, { depth }) => Math.max(most, depth), 0));
  /** The width of the longest name of a group member: an address, or a name on another bus. */
  const memberCells = memoized(
    state => [state.host?.groups, addresses(state)] as const,
    (groups, { cells }) =>
      [...(groups?.values() ?? [])].reduce(
        (most, { others }) => others.reduce((most, name) => Math.max(most, name.length), most),
        cells,
      ),
  );

  return {
    view,
    pci,
    matches,
    iommu,
    sriov,
    vfio,
    doctor,
    lists,
    prepareShownFilter,
    cursorRow,
    rowAtCursor,
    functionAtCursor,
    targets,
    addresses,
    pciDepth,
    memberCells,
  };
}

export type HostSelectors = ReturnType<typeof createHostSelectors>;
