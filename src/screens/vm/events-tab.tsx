import { useMemo } from 'react';
import { useAppState } from '../../components/contexts.ts';
import { LogTable } from '../../components/log-table.tsx';
import { vmViewOf } from '../../store/vm-view-slice.ts';
import { vmLog } from '../../view/log-rows.ts';
import type { PaneProps } from './pane-props.ts';

/** What has happened to the VM. */
export function EventsTab({ id, size }: PaneProps) {
  const log = useAppState(state => state.log);
  const entries = useMemo(() => vmLog(log, id), [log, id]);
  const cursor = useAppState(state => vmViewOf(state, id).event);
  return <LogTable entries={entries} cursor={cursor} size={size} vms={false} empty="Nothing yet" />;
}
