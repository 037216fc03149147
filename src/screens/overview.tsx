import { Box, Text } from 'ink';
import { useAppState, useTheme, useUi } from '../components/contexts.ts';
import { Section } from '../components/section.tsx';
import { sparkline } from '../components/sparkline.ts';
import type { Size } from '../store/ui-slice.ts';
import { pad } from '../text/width.ts';
import { type GaugeLine, hostLines, vmLines, vmsTitle } from '../view/overview-lines.ts';
import { overviewTables } from '../view/overview-rows.ts';
import { Alarms, BusiestVms, RecentEvents } from './overview/tables.tsx';

/** The host and its VMs at a glance: how busy they are, what needs attention, and what happened last. */
export function OverviewScreen({ size: { columns, rows } }: { size: Size }) {
  const { select } = useUi();
  const lost = useAppState(state => state.hostLost);
  const usage = useAppState(state => state.usage);
  const history = useAppState(state => state.usageHistory);
  const alarms = useAppState(select.alarms).length;
  const vms = useAppState(select.topVms).length;
  // If there are few rows, the tables need them.
  const roomy = rows >= ROOMY_ROWS;
  const host = usage === null ? [] : hostLines(usage, history, roomy);
  const eachCpu = roomy && usage !== null;
  const used = Math.max(1, host.length) + (eachCpu ? 1 : 0) + VM_ROWS;
  const { alarmRows, topRows, eventRows } = overviewTables(Math.max(0, rows - used), alarms, vms);
  return (
    <Box flexDirection="column" width={columns} height={rows} overflow="hidden">
      {usage === null && <Text wrap="truncate">{`  ${lost ?? 'Reading the host'}`}</Text>}
      {host.map(line => (
        <Gauge key={line.name} line={line} columns={columns} />
      ))}
      {eachCpu && <EachCpu cpus={usage.cpus} columns={columns} />}
      <AllVms columns={columns} />
      <Alarms size={{ columns, rows: alarmRows }} />
      {topRows > 0 && <BusiestVms size={{ columns, rows: topRows }} />}
      {eventRows > 0 && <RecentEvents size={{ columns, rows: eventRows }} />}
    </Box>
  );
}

/** From this many rows on, everything about the host is shown. */
const ROOMY_ROWS = 20;
/** Lines about all VMs, including their title. */
const VM_ROWS = 3;
const NAME_CELLS = 11;
const NOW_CELLS = 6;
/** Cells of the label of a graph's scale: `0-6400%`, `0-500k/s`. */
const SCALE_CELLS = 8;

/** A name, its current value, its graph with the scale, and more about it. */
function Gauge({ line, columns }: { line: GaugeLine; columns: number }) {
  const { style, glyphs } = useTheme();
  const { name, now, graph, text } = line;
  const number = now === '' ? '' : pad(now, NOW_CELLS, 'right');
  const room = columns - NAME_CELLS - NOW_CELLS - 4;
  const cells = Math.max(0, Math.min(60, Math.floor(room * 0.3)));
  const picture =
    graph === undefined ? '' : ` ${sparkline(graph.values, cells, glyphs.levels, graph.scale.top)} `;
  const scale = graph === undefined ? '' : pad(graph.scale.label, SCALE_CELLS);
  const rest = columns - NAME_CELLS - 3 - number.length - picture.length - scale.length;
  return (
    <Text wrap="truncate">
      <Text {...style('text.secondary')}>{`  ${pad(name, NAME_CELLS)}`}</Text>
      {number}
      <Text {...style('text.accent')}>{picture}</Text>
      <Text {...style('text.secondary')}>{scale}</Text>
      {pad(` ${text}`, Math.max(0, rest), 'left', glyphs.ellipsis)}
    </Text>
  );
}

/** Each CPU's usage as a level, in order. */
function EachCpu({ cpus, columns }: { cpus: readonly number[]; columns: number }) {
  const { style, glyphs } = useTheme();
  const { levels } = glyphs;
  const room = columns - NAME_CELLS - 4;
  const level = (share: number) => levels[Math.min(levels.length - 1, Math.floor(share * levels.length))];
  const shown = cpus.slice(0, room);
  const more = cpus.length > room ? glyphs.ellipsis : '';
  return (
    <Text wrap="truncate">
      <Text {...style('text.secondary')}>{`  ${pad(`${cpus.length} CPUs`, NAME_CELLS)} `}</Text>
      <Text {...style('text.accent')}>{shown.map(level).join('')}</Text>
      {more}
    </Text>
  );
}

function AllVms({ columns }: { columns: number }) {
  const title = useAppState(vmsTitle);
  const totals = useAppState(state => state.totals);
  const history = useAppState(state => state.sumHistory);
  const cpus = useAppState(state => state.usage?.cpus.length ?? null);
  return (
    <Box flexDirection="column" flexShrink={0}>
      <Section title={title} columns={columns} />
      {vmLines(Object.values(totals), history, cpus).map(line => (
        <Gauge key={line.name} line={line} columns={columns} />
      ))}
    </Box>
  );
}
