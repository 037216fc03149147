import type { TopScreen } from '../store/screens.ts';
import { hostSummary } from '../view/list-summary.ts';
import { useAppState, useUi } from './contexts.ts';

/** What the shown list holds. */
export function useListSummary(screen: TopScreen): string {
  const { select, hostSelect } = useUi();
  return useAppState(state => {
    if (screen === 'overview') return '';
    if (screen === 'log') {
      const all = state.log.length;
      return state.logFilter === '' ? `${all}` : `${select.visibleLog(state).length}/${all} match`;
    }
    if (screen !== 'vms') return hostSummary(state, hostSelect, screen);
    const all = state.order.length;
    if (state.markedVms.size > 0) return `${state.markedVms.size}/${all} marked`;
    return state.filter === ''
      ? `${all}, ${select.aliveVms(state)} alive`
      : `${select.visibleVms(state).length}/${all} match`;
  });
}
