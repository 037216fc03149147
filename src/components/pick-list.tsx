import { Box, Text } from 'ink';
import { type PickLayer, type PickRow, shownRows } from '../store/pick-layer.ts';
import type { Size } from '../store/ui-slice.ts';
import { pad } from '../text/width.ts';
import { layoutColumns } from '../view/table-columns.ts';
import { useTheme } from './contexts.ts';
import { Table, TableRow } from './table/table.tsx';
import { TextField } from './text-field.tsx';

/** The title, the filter, and why the row under the cursor cannot be picked. */
const FRAME_ROWS = 3;

/** A list from which to pick one entry, narrowed by typing. */
export function PickList({ layer, size: { columns, rows } }: { layer: PickLayer; size: Size }) {
  const { style, glyphs } = useTheme();
  const shown = shownRows(layer);
  const layout = layoutColumns(layer.columns, columns);
  const cursor = Math.max(0, Math.min(layer.cursor, shown.length - 1));
  const refusal = shown[cursor]?.refusal ?? '';
  const line = (text: string) => pad(` ${text}`, columns, 'left', glyphs.ellipsis);
  return (
    <Box flexDirection="column" width={columns} height={rows} overflow="hidden">
      <Text wrap="truncate" {...style('text.heading')}>
        {line(layer.title)}
      </Text>
      <TextField prompt={` ${layer.hint}: `} edit={layer.edit} columns={columns - 1} />
      <Table
        layout={layout}
        rows={shown}
        height={Math.max(1, rows - FRAME_ROWS)}
        cursor={cursor}
        focused
        empty="Nothing has what you typed"
        renderRow={(row: PickRow, selected) => (
          <TableRow
            key={row.key}
            layout={layout}
            cells={row.cells}
            selected={selected}
            {...(row.refusal !== null && { token: 'text.secondary' as const })}
          />
        )}
      />
      <Text wrap="truncate" {...style('status.warning')}>
        {line(refusal)}
      </Text>
    </Box>
  );
}
