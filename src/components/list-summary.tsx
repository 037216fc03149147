import { Text } from 'ink';
import { hostSummary } from '../store/list-summary.ts';
import type { TopScreen } from '../store/screen-names.ts';
import { useAppState, useTheme, useUi } from './contexts.ts';

/** What the shown list holds, and whether it can be changed. */
export function ListSummary({ screen }: { screen: TopScreen }) {
  const { style } = useTheme();
  const { select, hostSelect, readOnly } = useUi();
  const text = useAppState(state => {
    if (screen === 'log') {
      const all = state.log.length;
      return state.logFilter === '' ? String(all) : `${select.visibleLog(state).length}/${all} match`;
    }
    if (screen !== 'vms') return hostSummary(state, hostSelect, screen);
    const all = state.order.length;
    if (state.markedVms.size > 0) return `${state.markedVms.size} of ${all} marked`;
    return state.filter === ''
      ? `${all}, ${select.aliveVms(state)} alive`
      : `${select.visibleVms(state).length}/${all} match`;
  });
  return (
    <>
      {text} {readOnly !== null && <Text {...style('status.warning')}>[RO] </Text>}
    </>
  );
}
