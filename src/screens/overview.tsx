import { Box, Text } from 'ink';
import { useAppState, useTheme, useUi } from '../components/contexts.ts';
import { Section } from '../components/section.tsx';
import { sparkline } from '../components/sparkline.ts';
import { Table, TableRow } from '../components/table/table.tsx';
import type { Size } from '../store/ui-slice.ts';
import { pad } from '../text/width.ts';
import { type GaugeLine, hostLines, vmLines, vmsTitle } from '../view/overview-lines.ts';
import { type Column, layoutColumns } from '../view/table-columns.ts';

/** The host and its VMs at a glance, and what somebody should look at. */
export function OverviewScreen({ size: { columns, rows } }: { size: Size }) {
  const lost = useAppState(state => state.hostLost);
  const usage = useAppState(state => state.usage);
  const history = useAppState(state => state.usageHistory);
  // Where there are few rows, the alarms need them.
  const roomy = rows >= ROOMY_ROWS;
  const host = usage === null ? [] : hostLines(usage, history, roomy);
  const eachCpu = roomy && usage !== null;
  const used = Math.max(1, host.length) + (eachCpu ? 1 : 0) + VM_ROWS;
  return (
    <Box flexDirection="column" width={columns} height={rows} overflow="hidden">
      {usage === null && <Text wrap="truncate">{`  ${lost ?? 'Reading the host'}`}</Text>}
      {host.map(line => (
        <Gauge key={line.name} line={line} columns={columns} />
      ))}
      {eachCpu && <EachCpu cpus={usage.cpus} columns={columns} />}
      <AllVms columns={columns} />
      <Alarms columns={columns} rows={Math.max(0, rows - used)} />
    </Box>
  );
}

/** From here on all is told of the host. */
const ROOMY_ROWS = 20;
/** Lines about all VMs, their title among them. */
const VM_ROWS = 3;
const NAME_CELLS = 11;
const NOW_CELLS = 6;

/** A name, what it is now, how it went, and more about it. */
function Gauge({ line, columns }: { line: GaugeLine; columns: number }) {
  const { style, glyphs } = useTheme();
  const { name, now, values, text } = line;
  const room = columns - NAME_CELLS - NOW_CELLS - 4;
  const cells = Math.max(0, Math.min(60, Math.floor(room * 0.4)));
  const spark = values === undefined ? '' : ` ${sparkline(values, cells, glyphs.levels)} `;
  const number = now === '' ? '' : pad(now, NOW_CELLS, 'right');
  const rest = columns - NAME_CELLS - 3 - number.length - spark.length;
  return (
    <Text wrap="truncate">
      <Text {...style('text.secondary')}>{`  ${pad(name, NAME_CELLS)}`}</Text>
      {number}
      <Text {...style('text.accent')}>{spark}</Text>
      {pad(` ${text}`, Math.max(0, rest), 'left', glyphs.ellipsis)}
    </Text>
  );
}

/** Each CPU as a level, the first one first. */
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
  return (
    <Box flexDirection="column" flexShrink={0}>
      <Section title={title} columns={columns} />
      {vmLines(Object.values(totals), history).map(line => (
        <Gauge key={line.name} line={line} columns={columns} />
      ))}
    </Box>
  );
}

const COLUMNS: readonly Column[] = [
  { key: 'level', title: '', width: 1 },
  { key: 'text', title: 'ALARM', width: 20, grow: 1 },
];

function Alarms({ columns, rows }: Size) {
  const { select } = useUi();
  const alarms = useAppState(select.alarms);
  const cursor = useAppState(state => state.alarmCursor);
  const title = alarms.length === 0 ? 'No alarms' : `${alarms.length} alarm${alarms.length === 1 ? '' : 's'}`;
  const layout = layoutColumns(
    COLUMNS.map(column => (column.key === 'text' ? { ...column, title } : column)),
    columns,
  );
  return (
    <Table
      layout={layout}
      rows={alarms}
      height={rows}
      cursor={cursor}
      focused
      renderRow={({ key, level, text }, selected) => (
        <TableRow
          key={key}
          layout={layout}
          selected={selected}
          cells={{
            level:
              level === 'error'
                ? { text: 'x', token: 'status.error' }
                : { text: '!', token: 'status.warning' },
            text,
          }}
        />
      )}
    />
  );
}
