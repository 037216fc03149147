import { Box, Text } from 'ink';
import { useAppState, useTheme } from '../../components/contexts.ts';
import { sparkline } from '../../components/sparkline.ts';
import { EMPTY_HISTORY } from '../../store/history.ts';
import { own } from '../../text/own.ts';
import { percent, rate } from '../../text/units.ts';
import { pad } from '../../text/width.ts';
import { cpuScale, rateScale, type Scale } from '../../view/graph-scale.ts';
import { summaryLayout } from '../../view/summary-layout.ts';
import { summaryFacts } from '../../view/vm-facts.ts';
import { ConsolePane } from './console-pane.tsx';
import { ExitsPane } from './exits-pane.tsx';
import type { PaneProps } from './pane-props.ts';
import { QueueTable } from './queue-table.tsx';
import { RegionsPane } from './regions-pane.tsx';
import { VcpuPane } from './vcpu-pane.tsx';

/** A VM at a glance: its state, where its time goes, what its devices do, and its serial console. */
export function SummaryTab({ id, size }: PaneProps) {
  const queues = useAppState(state => own(state.infos, id)?.topology?.queues.length ?? 0);
  const { headRows, panes } = summaryLayout(size, queues);
  return (
    <Box flexDirection="column" width={size.columns} height={size.rows} overflow="hidden">
      <Head id={id} columns={size.columns} rows={headRows} />
      <Box columnGap={1}>
        {panes.vcpus && <VcpuPane id={id} size={panes.vcpus} />}
        {panes.exits && <ExitsPane id={id} size={panes.exits} />}
        {panes.regions && <RegionsPane id={id} size={panes.regions} />}
      </Box>
      {panes.queues && <QueueTable id={id} size={panes.queues} cursor={null} />}
      {panes.console && <ConsolePane id={id} size={panes.console} />}
    </Box>
  );
}

/** Cells of the label of a graph's scale: `0-800%`, `0-500k/s`. */
const SCALE_CELLS = 9;

type HeadProps = { readonly id: string; readonly columns: number; readonly rows: number };

/** A line of facts; CPU usage and exits over time, side by side or, with three rows, one below the other. */
function Head({ id, columns, rows }: HeadProps) {
  const { style, glyphs } = useTheme();
  const facts = useAppState(state => summaryFacts(state, id).join(` ${glyphs.separator} `));
  const history = useAppState(state => own(state.histories, id) ?? EMPTY_HISTORY);
  const totals = useAppState(state => own(state.totals, id));
  const vcpus = useAppState(state => own(state.infos, id)?.vcpus ?? 1);
  const beside = rows === 2;
  const cells = beside ? Math.floor(columns / 2) : columns;
  const line = (name: string, now: string, values: readonly number[], { top, label }: Scale) => {
    const title = `  ${pad(name, 8)}${pad(now, 6, 'right')} `;
    const scale = ` ${pad(label, SCALE_CELLS)}`;
    return (
      <Text wrap="truncate">
        <Text {...style('text.secondary')}>{title}</Text>
        {sparkline(values, cells - title.length - scale.length, glyphs.levels, top)}
        <Text {...style('text.secondary')}>{scale}</Text>
      </Text>
    );
  };
  return (
    <Box flexDirection="column" height={rows} overflow="hidden">
      <Text wrap="truncate">{pad(`  ${facts}`, columns, 'left', glyphs.ellipsis)}</Text>
      <Box flexDirection={beside ? 'row' : 'column'}>
        {line('CPU', totals ? percent(totals.cpu) : '-', history.cpu, cpuScale(vcpus))}
        {line('exits/s', totals ? rate(totals.exits) : '-', history.exits, rateScale([history.exits]))}
      </Box>
    </Box>
  );
}
