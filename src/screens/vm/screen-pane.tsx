import { Box, Text } from 'ink';
import { useAppState, useTheme, useUi } from '../../components/contexts.ts';
import { pad } from '../../text/width.ts';
import { ConsoleText } from './console-text.tsx';
import type { PaneProps } from './pane-props.ts';

/** What the VM's screen shows, and a title that says where keys go. */
export function ScreenPane({ id, size }: PaneProps) {
  const { screens } = useUi();
  // The picture is the feed's; the revision says that there is another one.
  useAppState(state => state.vmScreenRevision);
  const grabbed = useAppState(state => state.layers.at(-1)?.kind === 'console');
  const { color, ascii } = useTheme();
  const rows = screens.rows(size.columns, size.rows - 1, color, ascii);
  return (
    <Box flexDirection="column" width={size.columns} height={size.rows} overflow="hidden">
      <ScreenTitle id={id} columns={size.columns} grabbed={grabbed} />
      {rows.map((spans, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a line of the screen is known by its place
        <ConsoleText key={index} spans={spans} />
      ))}
    </Box>
  );
}

function ScreenTitle({ id, columns, grabbed }: { id: string; columns: number; grabbed: boolean }) {
  const { style, glyphs } = useTheme();
  const topology = useAppState(state => state.infos[id]?.topology);
  const device = topology?.devices.find(({ screen }) => screen);
  const count = (topology?.consoles ?? []).length + 1;
  const which = ` ${device?.name ?? ''} (${count} of ${count}, t)`;
  const state = grabbed ? ': you type to the guest, Ctrl-] leaves' : ', z: on the whole terminal';
  const text = pad(
    ` SCREEN${which}${state} `.replace(/^/, glyphs.rule) + glyphs.rule.repeat(columns),
    columns,
    'left',
    '',
  );
  return (
    <Text wrap="truncate" {...style(grabbed ? 'selection' : 'text.heading')}>
      {text}
    </Text>
  );
}
