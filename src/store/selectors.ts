import type { VmInfo } from '../engine/engine.ts';
import { isAlive } from '../engine/vm-state.ts';
import type { AppState } from './app-store.ts';
import { nameFilter } from './filter.ts';
import { createLogSelector } from './log-rows.ts';
import { memoised } from './memoised.ts';
import { currentScreen } from './ui-slice.ts';

/** Makes the selectors of one store; each keeps its last result. */
export function createSelectors() {
  const names = memoised(
    state => [state.order, state.infos] as const,
    (order, infos) => order.map(id => infos[id]!.name).join('\n'),
  );

  /** Ids of the VMs that the filter lets through. Changes only when a name, the order or the filter does. */
  const visibleVms = memoised(
    state => [state.order, names(state), state.filter] as const,
    (order, names, filter) => {
      const lets = nameFilter(filter);
      const nameOf = names.split('\n');
      return order.filter((_, index) => lets(nameOf[index]!));
    },
  );

  /** Row of the cursor among the visible VMs; 0 when its VM is not there. */
  const cursorRow = (state: AppState): number =>
    Math.max(0, state.selectedVm === null ? 0 : visibleVms(state).indexOf(state.selectedVm));

  /** The VM that commands act on: the shown one, or the one under the cursor of the list. */
  const targetVm = (state: AppState): VmInfo | null => {
    const screen = currentScreen(state);
    if (screen.kind === 'vm') return state.infos[screen.id] ?? null;
    const id = screen.kind === 'vms' ? visibleVms(state)[cursorRow(state)] : undefined;
    return id === undefined ? null : state.infos[id]!;
  };

  const aliveVms = memoised(
    state => [state.infos] as const,
    infos => Object.values(infos).filter(isAlive).length,
  );

  return { visibleVms, cursorRow, targetVm, aliveVms, visibleLog: createLogSelector() };
}

export type Selectors = ReturnType<typeof createSelectors>;
