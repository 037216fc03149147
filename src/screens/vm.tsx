import { Box } from 'ink';
import type { ComponentType } from 'react';
import { useAppState } from '../components/contexts.ts';
import type { Pane, Size } from '../store/ui-slice.ts';
import { ConsolePane } from './console-pane.tsx';
import { ExitsPane } from './exits-pane.tsx';
import type { PaneProps } from './pane-props.ts';
import { PaneTabs } from './pane-tabs.tsx';
import { QueuesPane } from './queues-pane.tsx';
import { RegionsPane } from './regions-pane.tsx';
import { VcpuPane } from './vcpu-pane.tsx';
import { vmLayout } from './vm-layout.ts';

/** One VM: its vCPUs, exits, devices and virtqueues, and its serial console. */
export function VmScreen({ id, size }: { id: string; size: Size }) {
  const pane = useAppState(state => state.pane);
  const zoomed = useAppState(state => state.zoomed);
  const queues = useAppState(state => state.infos[id]?.topology?.queues.length ?? 0);
  const { panes, single } = vmLayout({ size, pane, zoomed, queues });
  const show = (name: Pane, Component: ComponentType<PaneProps>) => {
    const placed = panes[name];
    return placed && <Component id={id} size={placed} focused={pane === name} />;
  };
  return (
    <Box flexDirection="column" width={size.columns} height={size.rows} overflow="hidden">
      {single && <PaneTabs pane={pane} />}
      <Box columnGap={1}>
        {show('vcpus', VcpuPane)}
        {show('exits', ExitsPane)}
        {show('regions', RegionsPane)}
      </Box>
      {show('queues', QueuesPane)}
      {show('console', ConsolePane)}
    </Box>
  );
}
