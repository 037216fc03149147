import { Box, Text } from 'ink';
import { useMemo } from 'react';
import { useAppState, useTheme, useUi } from '../components/contexts.ts';
import { FactLines } from '../components/fact-lines.tsx';
import { Section } from '../components/section.tsx';
import { Table, TableRow } from '../components/table/table.tsx';
import { filterOf } from '../store/list-slice.ts';
import type { Size } from '../store/ui-slice.ts';
import { factLines } from '../view/facts.ts';
import { cellsOf } from '../view/list-columns.ts';
import { NETWORK_COLUMNS, type NetworkRow, networkFacts } from '../view/network-rows.ts';
import { layoutColumns } from '../view/table-columns.ts';
import { noMatchText } from '../view/unknown-columns.ts';
import { splitPlaces } from './host/split.ts';

const NONE = 'No networks, bridges or TAP interfaces. n creates a network with NAT, DHCP and DNS';

/** What VMs can be connected to: networks of vring's, bridges, TAP interfaces. */
export function NetworksScreen({ size }: { size: Size }) {
  const { select } = useUi();
  const rows = useAppState(select.visibleNetworks);
  const cursor = useAppState(select.networkRow);
  const sort = useAppState(state => state.sorts.networks);
  const filter = useAppState(state => filterOf(state, 'networks'));
  const empty = useAppState(
    state => state.networksProblem ?? (state.networks === null ? 'Reading the host' : NONE),
  );
  const row = rows[cursor];
  const split = splitPlaces(size, row === undefined ? 'none' : 'here');
  const layout = useMemo(() => layoutColumns(NETWORK_COLUMNS, split.list.columns), [split.list.columns]);
  return (
    <Box flexDirection={split.beside ? 'row' : 'column'} width={size.columns} height={size.rows}>
      <Box flexDirection="column" width={split.list.columns} height={split.list.rows} overflow="hidden">
        <Table
          layout={layout}
          rows={rows}
          height={split.list.rows}
          cursor={cursor}
          focused
          sort={sort}
          empty={filter === '' ? empty : noMatchText('networks', filter, 'No network')}
          renderRow={(each, selected) => (
            <TableRow key={each.key} layout={layout} selected={selected} cells={cellsOf(layout, each)} />
          )}
        />
      </Box>
      {split.beside && <SideRule rows={size.rows} />}
      {split.details && row && <Details row={row} size={split.details} />}
    </Box>
  );
}

function SideRule({ rows }: { rows: number }) {
  const { style, glyphs } = useTheme();
  return (
    <Box width={1} height={rows}>
      <Text {...style('text.secondary')}>{Array.from({ length: rows }, () => glyphs.side).join('\n')}</Text>
    </Box>
  );
}

function Details({ row, size: { columns, rows } }: { row: NetworkRow; size: Size }) {
  const infos = useAppState(state => state.infos);
  const facts = networkFacts(row, Object.values(infos));
  return (
    <Box flexDirection="column" width={columns} height={rows + 1} overflow="hidden">
      <Section title={row.name} columns={columns} />
      <FactLines lines={factLines(facts, columns - 1)} columns={columns} rows={rows} />
    </Box>
  );
}
