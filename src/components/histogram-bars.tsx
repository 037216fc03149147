import { Box, Text } from 'ink';
import { type Histogram, histogramBands } from '../engine/sampling/histogram.ts';
import type { Size } from '../store/ui-slice.ts';
import { nanoseconds, percent } from '../text/units.ts';
import { pad } from '../text/width.ts';
import { useTheme } from './contexts.ts';

const LABEL_CELLS = 14;
const SHARE_CELLS = 6;

type HistogramBarsProps = { readonly counts: Histogram; readonly size: Size; readonly empty: string };

/** How long things took: a bar per duration, shortest first. */
export function HistogramBars({ counts, size: { columns, rows }, empty }: HistogramBarsProps) {
  const { style, glyphs } = useTheme();
  const bands = histogramBands(counts, rows);
  const total = bands.reduce((sum, { count }) => sum + count, 0);
  const most = Math.max(...bands.map(({ count }) => count));
  const room = Math.max(0, columns - LABEL_CELLS - SHARE_CELLS - 2);
  return (
    <Box flexDirection="column" width={columns} height={rows} overflow="hidden">
      {bands.length === 0 && (
        <Text wrap="truncate" {...style('text.secondary')}>
          {`  ${empty}`}
        </Text>
      )}
      {bands.map(({ fromNs, toNs, count }) => (
        <Text key={fromNs} wrap="truncate">
          <Text {...style('text.secondary')}>
            {pad(`${nanoseconds(fromNs)}-${nanoseconds(toNs)}`, LABEL_CELLS, 'right', '')}{' '}
          </Text>
          {pad(percent(count / total), SHARE_CELLS, 'right')}{' '}
          <Text {...style('text.accent')}>
            {glyphs.bar.guest.repeat(count === 0 ? 0 : Math.max(1, Math.round((count / most) * room)))}
          </Text>
        </Text>
      ))}
    </Box>
  );
}
