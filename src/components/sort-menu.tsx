import { Box, Text } from 'ink';
import type { Size } from '../store/ui-slice.ts';
import { pad } from '../text/width.ts';
import { shownSorted, sortColumns, sortOf } from '../view/sort-columns.ts';
import { useAppState, useTheme } from './contexts.ts';

/** Cells of an entry: its key and its column. */
const ENTRY_CELLS = 24;
/** The border and the title. */
const FRAME_ROWS = 3;
const FRAME_CELLS = 2;

/** The columns to sort by and their keys, in the middle of the list; in two columns if there are few rows. */
export function SortMenu({ size: { columns, rows } }: { size: Size }) {
  const { style, glyphs } = useTheme();
  const screen = useAppState(shownSorted);
  const sort = useAppState(state => (screen === null ? null : sortOf(state, screen)));
  if (screen === null) return null;
  const arrow = sort?.descending ? glyphs.sort.descending : glyphs.sort.ascending;
  const entries: readonly (readonly [string, string])[] = [
    ...sortColumns(screen).flatMap(({ key, title, letter }) =>
      letter === undefined ? [] : [[letter, sort?.column === key ? `${title} ${arrow}` : title] as const],
    ),
    ['o', 'reverse the order'],
    ['-', 'unsorted'],
  ];
  const perColumn = Math.max(1, Math.min(entries.length, rows - FRAME_ROWS));
  const groups = Array.from({ length: Math.ceil(entries.length / perColumn) }, (_, index) =>
    entries.slice(index * perColumn, (index + 1) * perColumn),
  );
  const cells = groups.length * ENTRY_CELLS;
  return (
    <Box
      position="absolute"
      top={Math.max(0, Math.floor((rows - perColumn - FRAME_ROWS) / 2))}
      left={Math.max(0, Math.floor((columns - cells - FRAME_CELLS) / 2))}
      flexDirection="column"
      {...(glyphs.border !== null && { borderStyle: glyphs.border })}
    >
      <Text {...style('text.heading')}>{pad(' Sort by', cells)}</Text>
      {Array.from({ length: perColumn }, (_, row) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a line of the menu is known by its place
        <Text key={row}>
          {groups.map(group => {
            const [key, label] = group[row] ?? ['', ''];
            return (
              <Text key={group[0]![0]}>
                {' '}
                <Text {...style('key')}>{pad(key, 2)}</Text>
                {pad(label, ENTRY_CELLS - 3, 'left', glyphs.ellipsis)}
              </Text>
            );
          })}
        </Text>
      ))}
    </Box>
  );
}
