import { Box, Text } from 'ink';
import type { TextLayer } from '../store/layers.ts';
import type { Size } from '../store/ui-slice.ts';
import { pad } from '../text/width.ts';
import { textRoom } from '../view/layer-room.ts';
import { useTheme } from './contexts.ts';

/** A text to read: a title, which shows the position, and unchanged lines. */
export function TextOverlay({ layer, size }: { layer: TextLayer; size: Size }) {
  const { style, glyphs } = useTheme();
  const { title, lines, offset } = layer;
  const room = textRoom(size.rows);
  const place =
    lines.length > room ? ` (${offset + 1}-${Math.min(lines.length, offset + room)} of ${lines.length})` : '';
  return (
    <Box flexDirection="column" width={size.columns} height={size.rows} overflow="hidden">
      <Text wrap="truncate" {...style('text.heading')}>
        {pad(` ${title}${place}`, size.columns, 'left', glyphs.ellipsis)}
      </Text>
      {lines.slice(offset, offset + room).map((text, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a line of the window is known by its place
        <Text key={index} wrap="truncate">
          {pad(`  ${text}`, size.columns, 'left', glyphs.ellipsis)}
        </Text>
      ))}
    </Box>
  );
}
