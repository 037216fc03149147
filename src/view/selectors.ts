import { guestAddresses } from '../engine/networks/vm-nics.ts';
import type { VmInfo } from '../engine/vm-info.ts';
import { isAlive } from '../engine/vm-info.ts';
import type { AppState } from '../store/app-store.ts';
import { filterOf } from '../store/list-slice.ts';
import { sorted } from '../store/sort.ts';
import { currentScreen } from '../store/ui-slice.ts';
import { own } from '../text/own.ts';
import { createAlarmsSelector } from './alarms.ts';
import { rowFilter, type Searched, searched } from './filter.ts';
import { createImageSelectors } from './image-rows.ts';
import { fieldNamed } from './list-columns.ts';
import { createLogSelector } from './log-rows.ts';
import { memoized } from './memoized.ts';
import { createNetworkSelectors } from './network-rows.ts';
import { createOverviewSelectors } from './overview-rows.ts';
import { createQueueSelectors } from './queue-rows.ts';
import { VM_COLUMNS, type VmListed } from './vm-columns.ts';

/** Creates the selectors of one store; each caches its last result. */
export function createSelectors() {
  const searchTexts = vmSearchTexts();
  const keepFiltered = sameWhileEqual();
  const keepSorted = sameWhileEqual();

  const matchingVms = memoized(
    state => [state.order, filterOf(state, 'vms'), state.infos, state.totals, state.sampledAt] as const,
    (order, filter, infos, totals, now) => {
      const { matches } = rowFilter(filter, VM_COLUMNS);
      return keepFiltered(
        order.filter(id => matches(searchTexts({ vm: infos[id]!, totals: own(totals, id), now }))),
      );
    },
  );

  /** Ids of the VMs that match the filter. */
  const filteredVms = (state: AppState): readonly string[] =>
    filterOf(state, 'vms').trim() === '' ? state.order : matchingVms(state);

  const sortedVms = memoized(
    state => [filteredVms(state), state.sorts.vms, state.infos, state.totals, state.sampledAt] as const,
    (ids, sort, infos, totals, now) => {
      const value = fieldNamed(VM_COLUMNS, sort!.column)?.value;
      if (value === undefined) return ids;
      return keepSorted(
        sorted(ids, id => value({ vm: infos[id]!, totals: own(totals, id), now }), sort!.descending),
      );
    },
  );

  /** Ids of the VMs in the list, from top to bottom: the same array while their order stays the same. */
  const visibleVms = (state: AppState): readonly string[] =>
    state.sorts.vms === undefined ? filteredVms(state) : sortedVms(state);

  /** Row of the cursor among the visible VMs; 0 if its VM is not visible. */
  const cursorRow = memoized(
    state => [visibleVms(state), state.selectedVm] as const,
    (visible, selected) => Math.max(0, selected === null ? 0 : visible.indexOf(selected)),
  );

  /** The VM that is shown, or under the cursor of the list. */
  const targetVm = (state: AppState): VmInfo | null => {
    const screen = currentScreen(state);
    if (screen.kind === 'vm') return own(state.infos, screen.id) ?? null;
    const id = screen.kind === 'vms' ? visibleVms(state)[cursorRow(state)] : undefined;
    return id === undefined ? null : state.infos[id]!;
  };

  /** The VMs that a command applies to: the marked ones, even if filtered out, or the one that is the target. */
  const targetVms = (state: AppState): readonly VmInfo[] => {
    if (currentScreen(state).kind === 'vms' && state.markedVms.size > 0) {
      return state.order.filter(id => state.markedVms.has(id)).map(id => state.infos[id]!);
    }
    const vm = targetVm(state);
    return vm === null ? [] : [vm];
  };

  /** Whether the address of any VM is known. */
  const addressed = memoized(
    state => [state.infos] as const,
    infos => Object.values(infos).some(vm => guestAddresses(vm).length > 0),
  );

  const aliveVms = memoized(
    state => [state.infos] as const,
    infos => Object.values(infos).filter(isAlive).length,
  );

  const alarms = createAlarmsSelector();

  return {
    visibleVms,
    cursorRow,
    targetVm,
    targetVms,
    addressed,
    aliveVms,
    visibleLog: createLogSelector(),
    alarms,
    ...createOverviewSelectors(alarms),
    ...createQueueSelectors(),
    ...createNetworkSelectors(),
    ...createImageSelectors(),
  };
}

/** The searchable text of each VM, built once for each sample and not for each key. */
function vmSearchTexts() {
  const known = new WeakMap<VmInfo, Searched<VmListed>>();
  return (listed: VmListed): Searched<VmListed> => {
    const last = known.get(listed.vm);
    if (last !== undefined && last.row.totals === listed.totals && last.row.now === listed.now) return last;
    const next = searched(listed, VM_COLUMNS);
    known.set(listed.vm, next);
    return next;
  };
}

/** Returns the previous list if the new one has the same items in the same order. */
function sameWhileEqual() {
  let last: readonly string[] = [];
  return (next: readonly string[]): readonly string[] => {
    const same = next.length === last.length && next.every((item, index) => item === last[index]);
    if (!same) last = next;
    return last;
  };
}

export type Selectors = ReturnType<typeof createSelectors>;
