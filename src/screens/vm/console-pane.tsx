import { Box, Text } from 'ink';
import { useAppState, useTheme, useUi } from '../../components/contexts.ts';
import { hasScreen, shownPort } from '../../console/console-feed.ts';
import { highlighted, inverted } from '../../console/highlight.ts';
import { keyboardHolderOf } from '../../engine/vm-consoles.ts';
import { SCREEN_PORT, vmViewOf } from '../../store/vm-view-slice.ts';
import { own } from '../../text/own.ts';
import { pad } from '../../text/width.ts';
import { ConsoleText } from './console-text.tsx';
import { useEmptyText } from './empty-text.ts';
import type { PaneProps } from './pane-props.ts';
import { ScreenPane } from './screen-pane.tsx';

/** The selected console or screen. */
export function ConsolePane(props: PaneProps) {
  const port = useAppState(state => shownPort(state, props.id));
  return port === SCREEN_PORT ? <ScreenPane {...props} /> : <SerialPane {...props} />;
}

/** The serial console: a title that shows where keys go, and the last lines that fit. */
function SerialPane({ id, size }: PaneProps) {
  const { consoles } = useUi();
  // The feed has the contents; the revision shows that they have changed.
  useAppState(state => (state.console?.id === id ? state.console.revision : -1));
  // The other console's revision may be the same number.
  useAppState(state => shownPort(state, id));
  const grabbed = useAppState(state => state.layers.at(-1)?.kind === 'console');
  const back = useAppState(state => vmViewOf(state, id).cursors.console);
  const search = useAppState(state => state.consoleSearch);
  const height = size.rows - 1;
  const lines = consoles.lines(height, size.columns, back, grabbed);
  const first = consoles.firstRow(height, back);
  const marked = consoles.marked(back);
  const empty = useEmptyText(id, '');
  const isBlank = lines.every(spans => spans.length === 0);
  const shown = empty !== '' && isBlank ? [[{ text: `  ${empty}` }]] : lines;
  return (
    <Box flexDirection="column" width={size.columns} height={size.rows} overflow="hidden">
      <ConsoleTitle id={id} columns={size.columns} grabbed={grabbed} back={back} marked={marked !== null} />
      {shown.map((spans, index) => {
        const isMarked = marked !== null && first + index >= marked.from && first + index <= marked.to;
        return (
          // biome-ignore lint/suspicious/noArrayIndexKey: a line of the screen is known by its place
          <ConsoleText key={index} spans={isMarked ? inverted(spans) : highlighted(spans, search)} />
        );
      })}
    </Box>
  );
}

type TitleProps = { id: string; columns: number; grabbed: boolean; back: number; marked: boolean };

function ConsoleTitle({ id, columns, grabbed, back, marked }: TitleProps) {
  const { style, glyphs } = useTheme();
  const port = useAppState(state => shownPort(state, id));
  const info = useAppState(state => own(state.infos, id));
  const consoles = info?.topology?.consoles ?? [];
  const keyboardHolder = info === undefined ? null : keyboardHolderOf(info, port);
  const count = consoles.length + (hasScreen(info) ? 1 : 0);
  const place = consoles.findIndex(console => console.port === port);
  const which = count > 1 && place >= 0 ? ` ${consoles[place]!.name} (${place + 1} of ${count}, t)` : '';
  const search = useAppState(state => state.consoleSearch);
  const facts = grabbed
    ? [': you type to the guest, Ctrl-] leaves']
    : [
        ...(keyboardHolder === null ? [] : [`, keyboard: ${keyboardHolder}`]),
        ...(back > 0 ? [`, ${back} ${back === 1 ? 'line' : 'lines'} back`] : []),
        ...(search === '' ? [] : [`, /${search}`]),
        ...(marked ? [', marked: y copies'] : []),
      ];
  const state = ` SERIAL CONSOLE${which}${facts.join('')} `;
  const text = pad(`${glyphs.rule}${state}${glyphs.rule.repeat(columns)}`, columns, 'left', '');
  return (
    <Text wrap="truncate" {...style(grabbed ? 'selection' : 'text.heading')}>
      {text}
    </Text>
  );
}
