import { Box, Text } from 'ink';
import type { DialogLayer } from '../store/layers.ts';
import type { Size } from '../store/ui-slice.ts';
import { pad } from '../text/width.ts';
import { DIALOG_FRAME_CELLS, dialogLines } from '../view/layer-room.ts';
import { useTheme } from './contexts.ts';

type DialogProps = { readonly layer: DialogLayer; readonly size: Size };

/** A question in the middle of the screen. Its lines are padded to its full width, to cover what is below. */
export function Dialog({ layer, size }: DialogProps) {
  const { style, glyphs } = useTheme();
  const { cells, lines, room } = dialogLines(layer, size);
  const more = lines.length - layer.offset - room;
  const blank = ' '.repeat(cells + 2);
  const line = (text: string) => ` ${pad(text, cells, 'left', glyphs.ellipsis)} `;
  return (
    <Box
      position="absolute"
      top={Math.max(0, Math.floor((size.rows - room - 6) / 2))}
      left={Math.max(0, Math.floor((size.columns - cells - DIALOG_FRAME_CELLS) / 2))}
      flexDirection="column"
      {...(glyphs.border !== null && { borderStyle: glyphs.border })}
    >
      <Text {...style('status.warning')}>{line(layer.title)}</Text>
      <Text>{blank}</Text>
      {lines.slice(layer.offset, layer.offset + room).map((text, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a line of the window is known by its place
        <Text key={index}>{line(text)}</Text>
      ))}
      {more > 0 ? <Text {...style('text.secondary')}>{line(`${more} more: j`)}</Text> : <Text>{blank}</Text>}
      <Buttons layer={layer} cells={cells} />
    </Box>
  );
}

function Buttons({ layer: { choices, focus }, cells }: { layer: DialogLayer; cells: number }) {
  const { style, glyphs } = useTheme();
  // The marker shows the focus where inverse video does not.
  const labels = choices.map(({ label }, index) =>
    index === focus ? `${glyphs.cursor}[ ${label} ]` : ` [ ${label} ]`,
  );
  const shown = fitted(labels, focus, cells + 2);
  const used = shown.reduce((sum, label) => sum + label.length + 1, 0);
  return (
    <Text wrap="truncate">
      {' '.repeat(Math.max(0, cells + 2 - used))}
      {shown.map(label => (
        <Text key={label}>
          <Text {...(label === labels[focus] ? style('selection') : {})}>{label}</Text>{' '}
        </Text>
      ))}
    </Text>
  );
}

/** As many buttons as fit, from the first one on, always including the focused one. */
function fitted(labels: readonly string[], focus: number, cells: number): readonly string[] {
  const fits = (from: number, to: number) =>
    labels.slice(from, to).reduce((sum, label) => sum + label.length + 1, 0) <= cells;
  let to = labels.length;
  while (to > focus + 1 && !fits(0, to)) to--;
  let from = 0;
  while (from < focus && !fits(from, to)) from++;
  return labels.slice(from, to);
}
