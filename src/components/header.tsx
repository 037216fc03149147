import { Box, Text } from 'ink';
import type { Screen, Size } from '../store/ui-slice.ts';
import { uptimeOf } from '../store/vm-uptime.ts';
import { bytes } from '../text/units.ts';
import { truncate } from '../text/width.ts';
import { stateToken } from '../theme/state-token.ts';
import { useAppState, useTheme } from './contexts.ts';
import { ListSummary } from './list-summary.tsx';
import { ScreenTabs } from './screen-tabs.tsx';

/** The first line: where we are, what there is, and how fresh the numbers are. */
export function Header({ screen, columns }: { screen: Screen; columns: Size['columns'] }) {
  const { style } = useTheme();
  return (
    <Box width={columns} height={1} justifyContent="space-between" overflow="hidden">
      <Text wrap="truncate">
        <Text {...style('focus')}> vring</Text>
        <Title screen={screen} columns={columns} />
      </Text>
      <Text wrap="truncate">
        {screen.kind !== 'vm' && screen.kind !== 'function' && <ListSummary screen={screen.kind} />}
        {(screen.kind === 'vm' || screen.kind === 'vms') && <Freshness columns={columns} />}
      </Text>
    </Box>
  );
}

function Title({ screen, columns }: { screen: Screen; columns: number }) {
  switch (screen.kind) {
    case 'vm':
      return <VmTitle id={screen.id} />;
    case 'function':
      return <FunctionTitle address={screen.address} columns={columns} />;
    default:
      return <ScreenTabs shown={screen.kind} columns={columns} />;
  }
}

function VmTitle({ id }: { id: string }) {
  const { style, glyphs } = useTheme();
  const vm = useAppState(state => state.infos[id]);
  const up = useAppState(state => uptimeOf(state, id));
  if (vm === undefined) return null;
  const facts = [
    `${vm.vcpus} vCPU${vm.vcpus === 1 ? '' : 's'}`,
    bytes(vm.memoryBytes),
    ...(up ? [`up ${up}`] : []),
  ];
  return (
    <>
      <Text {...style('text.heading')}>{`  ${vm.name} `}</Text>
      <Text {...style(stateToken(vm.state))}>{vm.state}</Text>
      {`  ${facts.join(` ${glyphs.separator} `)}`}
    </>
  );
}

function FunctionTitle({ address, columns }: { address: string; columns: number }) {
  const { style, glyphs } = useTheme();
  const className = useAppState(state => state.host?.functions.get(address)?.names.class ?? '');
  return (
    <>
      <Text {...style('text.heading')}>{`  ${address} `}</Text>
      {truncate(className, columns - address.length - ' vring '.length - 2, glyphs.ellipsis)}
    </>
  );
}

/** From here on there is room for words. */
const WIDE_COLUMNS = 100;

function Freshness({ columns }: { columns: number }) {
  const { style } = useTheme();
  const { paused, intervalMs } = useAppState(state => state.sampling);
  if (paused) return <Text {...style('status.warning')}> FROZEN </Text>;
  const seconds = `${intervalMs / 1000} s `;
  return <Text {...style('text.secondary')}>{columns < WIDE_COLUMNS ? seconds : ` every ${seconds}`}</Text>;
}
