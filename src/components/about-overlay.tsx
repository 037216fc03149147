import { Box, Text } from 'ink';
import { Table } from 'ink-table';
import type { ReactNode } from 'react';
import type { Size } from '../store/ui-slice.ts';
import { own } from '../text/own.ts';
import { ABOUT_NAME_CELLS, type AboutFact, aboutFacts } from '../view/about-facts.ts';
import type { Topology } from '../vmm/machine/topology.ts';
import { useAppState, useTheme } from './contexts.ts';

/** What a VM is made of, and why it ended: facts that do not change. */
export function AboutOverlay({ id, offset, size }: { id: string; offset: number; size: Size }) {
  const vm = useAppState(state => own(state.infos, id));
  if (vm === undefined) return null;
  return (
    <Box
      flexDirection="column"
      width={size.columns}
      height={size.rows}
      overflow="hidden"
      paddingX={1}
      contentOffsetY={offset}
    >
      {aboutFacts(vm, size.columns).map(fact => (
        <Fact key={fact.name} {...fact} />
      ))}
      {vm.detail && <Detail text={vm.detail} />}
      {vm.topology && <Devices topology={vm.topology} />}
    </Box>
  );
}

function Fact({ name, lines }: AboutFact) {
  const { style } = useTheme();
  return (
    <Box flexShrink={0}>
      <Box width={ABOUT_NAME_CELLS} flexShrink={0}>
        <Text {...style('text.secondary')}>{name}</Text>
      </Box>
      <Text>{lines.join('\n')}</Text>
    </Box>
  );
}

/** A register dump, unchanged, line by line. */
function Detail({ text }: { text: string }) {
  return (
    <Box flexDirection="column" flexShrink={0} paddingTop={1}>
      {text.split('\n').map((line, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: lines of a text that stays
        <Text key={index} wrap="truncate">
          {line || ' '}
        </Text>
      ))}
    </Box>
  );
}

function Devices({ topology: { queues, regions } }: { topology: Topology }) {
  const hex = (value: number) => value.toString(16);
  return (
    <>
      <StaticTable
        data={queues.map(({ device, type, queue, size }) => ({ device, type, queue, size }))}
        titles={{ device: 'DEVICE', type: 'TYPE', queue: 'QUEUE', size: 'SIZE' }}
      />
      <StaticTable
        data={regions.map(({ device, space, start, size }) => ({
          device,
          range: `${space} ${hex(start)}-${hex(start + size - 1)}`,
        }))}
        titles={{ device: 'DEVICE', range: 'RANGE' }}
      />
    </>
  );
}

type StaticTableProps = {
  readonly data: Record<string, string | number>[];
  readonly titles: Record<string, string>;
};

/** A table without lines, so that it needs no characters but those of its cells. */
function StaticTable({ data, titles }: StaticTableProps) {
  if (data.length === 0) return null;
  return (
    <Box flexShrink={0} paddingTop={1}>
      <Table data={data} headings={titles} header={TitleCell} cell={PlainCell} skeleton={NoLine} />
    </Box>
  );
}

function TitleCell({ children }: { children?: ReactNode }) {
  const { style } = useTheme();
  return <Text {...style('text.heading')}>{children}</Text>;
}

function PlainCell({ children }: { children?: ReactNode }) {
  return <Text>{children}</Text>;
}

function NoLine() {
  return null;
}
