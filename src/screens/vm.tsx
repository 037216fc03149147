import { Box } from 'ink';
import type { ComponentType } from 'react';
import { useAppState } from '../components/contexts.ts';
import type { Size } from '../store/ui-slice.ts';
import { type VmTab, vmViewOf } from '../store/vm-view-slice.ts';
import { ConsolePane } from './vm/console-pane.tsx';
import { DevicesTab, DisksTab, NetworksTab } from './vm/devices-tab.tsx';
import { EventsTab } from './vm/events-tab.tsx';
import { ExitsTab } from './vm/exits-tab.tsx';
import type { PaneProps } from './vm/pane-props.ts';
import { QueuesTab } from './vm/queues-tab.tsx';
import { SnapshotsTab } from './vm/snapshots-tab.tsx';
import { SummaryTab } from './vm/summary-tab.tsx';
import { TabBar } from './vm/tab-bar.tsx';
import { VcpusTab } from './vm/vcpus-tab.tsx';

const TABS: Readonly<Record<VmTab, ComponentType<PaneProps>>> = {
  summary: SummaryTab,
  vcpus: VcpusTab,
  exits: ExitsTab,
  queues: QueuesTab,
  disks: DisksTab,
  networks: NetworksTab,
  devices: DevicesTab,
  console: ConsolePane,
  events: EventsTab,
  snapshots: SnapshotsTab,
};

/** One VM: a summary, and a tab for each part. */
export function VmScreen({ id, size: { columns, rows } }: { id: string; size: Size }) {
  const tab = useAppState(state => vmViewOf(state, id).tab);
  const Tab = TABS[tab];
  return (
    <Box flexDirection="column" width={columns} height={rows} overflow="hidden">
      <TabBar tab={tab} columns={columns} />
      <Tab key={tab} id={id} size={{ columns, rows: Math.max(0, rows - 1) }} />
    </Box>
  );
}
