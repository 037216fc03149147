import { Box, type DOMElement, measureElement, Text } from 'ink';
import { useEffect, useLayoutEffect, useRef } from 'react';
import { useAppState, useTheme, useUi } from '../../components/contexts.ts';
import type { Layer } from '../../store/layers.ts';
import type { Size } from '../../store/ui-slice.ts';
import { pad } from '../../text/width.ts';
import { ConsoleText } from './console-text.tsx';
import type { PaneProps } from './pane-props.ts';

/** The VM's screen, with a title that shows where keys go. */
export function ScreenPane({ id, size }: PaneProps) {
  const { screens } = useUi();
  // The feed has the picture; the revision shows that it has changed.
  useAppState(state => state.vmScreenRevision);
  const grabbed = useAppState(state => state.layers.at(-1)?.kind === 'console');
  const { color, ascii } = useTheme();
  const lines = size.rows - 1;
  const [box, isPicture] = usePicture(size);
  const rows = isPicture ? [] : screens.rows(size.columns, lines, color, ascii);
  return (
    <Box flexDirection="column" width={size.columns} height={size.rows} overflow="hidden">
      <ScreenTitle id={id} columns={size.columns} grabbed={grabbed} />
      <Box ref={box} flexDirection="column" width={size.columns} height={lines}>
        {rows.map((spans, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: a line of the screen is known by its place
          <ConsoleText key={index} spans={spans} />
        ))}
      </Box>
    </Box>
  );
}

/**
 * If the terminal shows pictures, graphics are a picture over blank cells, unless something is drawn on top of them.
 * @returns the reference for the box of those cells, and whether they are blank
 */
function usePicture(size: Size) {
  const { picture, frame } = useUi().screens;
  const isCovered = useAppState(state => coversScreen(state.layers.at(-1)));
  const box = useRef<DOMElement>(null);
  const isGraphics = picture !== null && frame?.kind === 'graphics';
  const isPicture = isGraphics && picture.isSupported && !isCovered;
  useEffect(() => {
    if (isGraphics) picture.ask();
  }, [isGraphics, picture]);
  // React runs clean-ups before Ink draws, so the picture is removed before anything replaces it.
  // biome-ignore lint/correctness/useExhaustiveDependencies: a pane of another size is elsewhere
  useLayoutEffect(() => {
    if (isPicture) return () => picture.hide();
  }, [isPicture, picture, size.columns, size.rows]);
  useLayoutEffect(() => {
    if (!isPicture || box.current === null) return;
    const { x, y, width, height } = measureElement(box.current);
    picture.show({ column: x, row: y, columns: width, rows: height });
  });
  return [box, isPicture] as const;
}

/** Dialogs and the sort menu are drawn on top of a screen; other layers replace it or leave it alone. */
function coversScreen(layer: Layer | undefined): boolean {
  return layer?.kind === 'dialog' || layer?.kind === 'sort';
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
