import { Box, Text } from 'ink';
import type { ReactNode } from 'react';
import { isUnsafe, stateWord } from '../engine/vm-info.ts';
import type { Screen, TopScreen } from '../store/screens.ts';
import type { Size } from '../store/ui-slice.ts';
import { own } from '../text/own.ts';
import { bytes, uptime } from '../text/units.ts';
import { truncate, truncateMiddle, width } from '../text/width.ts';
import { stateToken } from '../theme/state-token.ts';
import type { Token } from '../theme/tokens.ts';
import { uptimeOf } from '../view/vm-columns.ts';
import { describeTask, TASK_TITLES } from '../view/vm-task.ts';
import { useAppState, useTheme, useUi } from './contexts.ts';
import { useListSummary } from './list-summary.ts';
import { ScreenTabs } from './screen-tabs.tsx';

/** Minimum number of cells between the two halves of the line. */
const GAP = 1;
const PROGRAM_CELLS = ' vring'.length;
/** Around the name and the state of a VM, and the age of the numbers at the right. */
const MARGIN_CELLS = 12;

type HeaderProps = { readonly screen: Screen; readonly columns: Size['columns'] };

/** The first line: which screen this is, what it holds, and how old the numbers are. */
export function Header({ screen, columns }: HeaderProps) {
  const { style } = useTheme();
  if (screen.kind !== 'vm' && screen.kind !== 'function')
    return <TopHeader shown={screen.kind} columns={columns} />;
  return (
    <HeaderLine
      columns={columns}
      left={
        <>
          <Text {...style('focus')}> vring</Text>
          {screen.kind === 'vm' ? (
            <VmTitle id={screen.id} columns={columns} />
          ) : (
            <FunctionTitle address={screen.address} columns={columns} />
          )}
        </>
      }
      right={
        <>
          <Badges columns={columns} />
          {screen.kind === 'vm' && <Freshness columns={columns} />}
        </>
      }
    />
  );
}

function HeaderLine({ columns, left, right }: { columns: number; left: ReactNode; right: ReactNode }) {
  return (
    <Box width={columns} height={1} justifyContent="space-between" overflow="hidden">
      <Text wrap="truncate">{left}</Text>
      <Box flexShrink={0} marginLeft={GAP}>
        <Text wrap="truncate">{right}</Text>
      </Box>
    </Box>
  );
}

/** Columns of a recording's name, on a wide and on a narrow terminal. */
const NAME_COLUMNS = { wide: 24, narrow: 10 } as const;

/** What is special about everything shown: a recording instead of this host, a read-only session. */
function useBadges(columns: number): string {
  const { readOnly, host } = useUi();
  const { glyphs } = useTheme();
  const { recording } = host.source;
  const name = truncate(
    recording ?? '',
    columns < WIDE_COLUMNS ? NAME_COLUMNS.narrow : NAME_COLUMNS.wide,
    glyphs.ellipsis,
  );
  return `${recording === null ? '' : `[REC ${name}] `}${readOnly === null ? '' : '[RO] '}`;
}

function Badges({ columns }: { columns: number }) {
  const { style } = useTheme();
  return <Text {...style('status.warning')}>{useBadges(columns)}</Text>;
}

/** The header of a screen that a number key opens. */
function TopHeader({ shown, columns }: { shown: TopScreen; columns: number }) {
  const summary = useListSummary(shown);
  const badges = useBadges(columns);
  const fresh = useFreshness(columns).text;
  const sampled = shown === 'overview' || shown === 'vms' || shown === 'queues';
  const right = `${summary} ${badges}${sampled ? fresh : ''}`;
  return (
    <HeaderLine
      columns={columns}
      left={<ScreenTabs shown={shown} columns={columns} room={columns - right.length - GAP} />}
      right={
        <>
          {summary} <Badges columns={columns} />
          {sampled && <Freshness columns={columns} />}
        </>
      }
    />
  );
}

function VmTitle({ id, columns }: { id: string; columns: number }) {
  const { style, glyphs } = useTheme();
  const vm = useAppState(state => own(state.infos, id));
  const now = useAppState(state => state.sampledAt);
  const right = useBadges(columns).length + useFreshness(columns).text.length;
  if (vm === undefined) return null;
  const state = stateWord(vm);
  const up = uptimeOf({ vm, now });
  const facts = [
    // Nothing is known about a definition that cannot be read.
    ...(vm.vcpus === 0 ? [] : [`${vm.vcpus} vCPU${vm.vcpus === 1 ? '' : 's'}`]),
    ...(vm.memoryBytes === 0 ? [] : [bytes(vm.memoryBytes)]),
    ...(up === null ? [] : [`up ${uptime(up)}`]),
    ...(vm.task === undefined ? [] : [`${TASK_TITLES[vm.task.kind]}: ${describeTask(vm.task)}`]),
  ];
  // The name is truncated last, in its middle.
  const room = columns - PROGRAM_CELLS - state.length - MARGIN_CELLS;
  const name = `  ${truncateMiddle(vm.name, room, glyphs.ellipsis)} `;
  const unsafe = isUnsafe(vm) ? ' UNSAFE' : '';
  const left = PROGRAM_CELLS + width(name) + state.length + unsafe.length;
  const text = () => `  ${facts.join(` ${glyphs.separator} `)}`;
  // What it is doing stays, and is cut if it must be.
  const least = vm.task === undefined ? 0 : 1;
  while (facts.length > least && left + width(text()) + GAP + right > columns)
    facts.splice(facts.length - 1 - least, 1);
  return (
    <>
      <Text {...style('text.heading')}>{name}</Text>
      <Text {...style(stateToken(state))}>{state}</Text>
      {unsafe !== '' && <Text {...style('status.error')}>{unsafe}</Text>}
      {text()}
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

/** From this width on, words fit. */
const WIDE_COLUMNS = 100;

/** The maximum age of the numbers, or that they are frozen. */
function useFreshness(columns: number): { readonly text: string; readonly token: Token } {
  const { paused, intervalMs } = useAppState(state => state.sampling);
  if (paused) return { text: ' FROZEN ', token: 'status.warning' };
  const seconds = `${intervalMs / 1000} s `;
  return { text: columns < WIDE_COLUMNS ? seconds : ` every ${seconds}`, token: 'text.secondary' };
}

function Freshness({ columns }: { columns: number }) {
  const { style } = useTheme();
  const { text, token } = useFreshness(columns);
  return <Text {...style(token)}>{text}</Text>;
}
