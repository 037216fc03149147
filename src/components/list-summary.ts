import { filterOf } from '../store/list-slice.ts';
import type { TopScreen } from '../store/screens.ts';
import { hostSummary } from '../view/list-summary.ts';
import { useAppState, useUi } from './contexts.ts';

/** What the shown list holds, in a few words. */
export function useListSummary(screen: TopScreen): string {
  const { select, hostSelect } = useUi();
  return useAppState(state => {
    const matching = (shown: number, all: number) => `${shown}/${all} match`;
    switch (screen) {
      case 'overview':
        return '';
      case 'log': {
        const all = state.log.length;
        return filterOf(state, 'log') === ''
          ? `${all} ${all === 1 ? 'entry' : 'entries'}`
          : matching(select.visibleLog(state).length, all);
      }
      case 'queues': {
        const all = select.allQueues(state).length;
        const omitted = state.queues?.omitted ?? 0;
        const more = omitted === 0 ? '' : `, ${omitted} more not shown`;
        return filterOf(state, 'queues') === ''
          ? `${all} queue${all === 1 ? '' : 's'}${more}`
          : matching(select.visibleQueues(state).length, all) + more;
      }
      case 'networks': {
        const all = select.allNetworks(state).length;
        return filterOf(state, 'networks') === ''
          ? `${all} network${all === 1 ? '' : 's'}`
          : matching(select.visibleNetworks(state).length, all);
      }
      case 'images': {
        const all = select.allImages(state).length;
        return filterOf(state, 'images') === ''
          ? `${all} image${all === 1 ? '' : 's'}`
          : matching(select.visibleImages(state).length, all);
      }
      case 'vms': {
        const all = state.order.length;
        if (state.markedVms.size > 0) return `${state.markedVms.size}/${all} marked`;
        return filterOf(state, 'vms') === ''
          ? `${select.aliveVms(state)}/${all} active`
          : matching(select.visibleVms(state).length, all);
      }
      default:
        return hostSummary(state, hostSelect, screen);
    }
  });
}
