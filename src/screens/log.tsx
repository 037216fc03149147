import { useAppState, useUi } from '../components/contexts.ts';
import { LogTable } from '../components/log-table.tsx';
import { filterOf } from '../store/list-slice.ts';
import type { Size } from '../store/ui-slice.ts';
import { noMatchText } from '../view/unknown-columns.ts';

/** What has happened to the VMs and to the manager. */
export function LogScreen({ size }: { size: Size }) {
  const { select } = useUi();
  const entries = useAppState(select.visibleLog);
  const cursor = useAppState(state => state.logCursor);
  const filter = useAppState(state => filterOf(state, 'log'));
  const empty = filter === '' ? 'Nothing yet' : noMatchText('log', filter, 'Nothing');
  return <LogTable entries={entries} cursor={cursor} size={size} vms empty={empty} />;
}
