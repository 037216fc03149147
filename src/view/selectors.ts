import type { VmInfo } from '../engine/vm-info.ts';
import { isAlive } from '../engine/vm-info.ts';
import type { AppState } from '../store/app-store.ts';
import { sorted } from '../store/sort.ts';
import { currentScreen } from '../store/ui-slice.ts';
import { createAlarmsSelector } from './alarms.ts';
import { nameFilter } from './filter.ts';
import { createLogSelector } from './log-rows.ts';
import { memoized } from './memoized.ts';
import { vmValue } from './vm-columns.ts';

/** Makes the selectors of one store; each keeps its last result. */
export function createSelectors() {
  const names = memoized(
    state => [state.order, state.infos] as const,
    (order, infos) => order.map(id => infos[id]!.name).join('\n'),
  );

  /** Ids of the VMs that the filter lets through. Changes only when a name, the order or the filter does. */
  const filteredVms = memoized(
    state => [state.order, names(state), state.filter] as const,
    (order, names, filter) => {
      const lets = nameFilter(filter);
      const nameOf = names.split('\n');
      return order.filter((_, index) => lets(nameOf[index]!));
    },
  );

  const sortedVms = memoized(
    state => [filteredVms(state), state.sorts.vms, state.infos, state.totals] as const,
    (ids, sort, infos, totals) => {
      const value = vmValue(sort!.column);
      if (value === null) return ids;
      return keepSame(sorted(ids, id => value(infos[id]!, totals[id]), sort!.descending));
    },
  );
  const keepSame = sameWhileEqual();

  /** Ids of the VMs of the list, from top to bottom: the same list for as long as they are in the same order. */
  const visibleVms = (state: AppState): readonly string[] =>
    state.sorts.vms === undefined ? filteredVms(state) : sortedVms(state);

  /** Row of the cursor among the visible VMs; 0 when its VM is not there. */
  const cursorRow = (state: AppState): number =>
    Math.max(0, state.selectedVm === null ? 0 : visibleVms(state).indexOf(state.selectedVm));

  /** The VM that is shown, or under the cursor of the list. */
  const targetVm = (state: AppState): VmInfo | null => {
    const screen = currentScreen(state);
    if (screen.kind === 'vm') return state.infos[screen.id] ?? null;
    const id = screen.kind === 'vms' ? visibleVms(state)[cursorRow(state)] : undefined;
    return id === undefined ? null : state.infos[id]!;
  };

  /** The VMs that a command is for: the marked ones, whether the filter shows them or not, or the one that is the target. */
  const targetVms = (state: AppState): readonly VmInfo[] => {
    if (currentScreen(state).kind === 'vms' && state.markedVms.size > 0) {
      return state.order.filter(id => state.markedVms.has(id)).map(id => state.infos[id]!);
    }
    const vm = targetVm(state);
    return vm === null ? [] : [vm];
  };

  const aliveVms = memoized(
    state => [state.infos] as const,
    infos => Object.values(infos).filter(isAlive).length,
  );

  return {
    visibleVms,
    cursorRow,
    targetVm,
    targetVms,
    aliveVms,
    visibleLog: createLogSelector(),
    alarms: createAlarmsSelector(),
  };
}

/** Gives back the list before, where the new one has the same items in the same order. */
function sameWhileEqual() {
  let last: readonly string[] = [];
  return (next: readonly string[]): readonly string[] => {
    const same = next.length === last.length && next.every((item, index) => item === last[index]);
    if (!same) last = next;
    return last;
  };
}

export type Selectors = ReturnType<typeof createSelectors>;
