import { describe, expect, test } from 'vitest';
import { LISTS } from '../../src/store/screens.ts';
import { HOST_COLUMNS } from '../../src/view/host-lists.ts';
import { IMAGE_COLUMNS } from '../../src/view/image-rows.ts';
import { fieldNamed, type ListColumn } from '../../src/view/list-columns.ts';
import { LOG_COLUMNS } from '../../src/view/log-rows.ts';
import { NETWORK_COLUMNS } from '../../src/view/network-rows.ts';
import { QUEUE_COLUMNS } from '../../src/view/queue-rows.ts';
import { CURSOR_CELLS, layoutColumns } from '../../src/view/table-columns.ts';
import { VM_COLUMNS } from '../../src/view/vm-columns.ts';

const COLUMNS: Readonly<Record<(typeof LISTS)[number], readonly ListColumn<never>[]>> = {
  ...HOST_COLUMNS,
  vms: VM_COLUMNS,
  queues: QUEUE_COLUMNS,
  networks: NETWORK_COLUMNS,
  images: IMAGE_COLUMNS,
  log: LOG_COLUMNS,
};

describe.each(LISTS)('the columns of the list %s', list => {
  const columns = COLUMNS[list];

  test('have unique names: their keys and the first words of their titles', () => {
    for (const column of columns) {
      expect(fieldNamed(columns, column.key)).toBe(column);
      const word = /^[a-z0-9]+/i.exec(column.title)?.[0] ?? column.key;
      if (column.cell !== undefined) expect(fieldNamed(columns, word)?.key, column.title).toBe(column.key);
    }
  });

  test('have titles that fit', () => {
    for (const { title, min, key } of columns)
      if (key !== 'use') expect(title.length, title).toBeLessThanOrEqual(min);
  });

  test.each([60, 80, 120, 200])('fit into %i cells, including the most important ones', cells => {
    const layout = layoutColumns(columns, cells);
    const used = layout.reduce((sum, column) => sum + column.cells, layout.length - 1 + CURSOR_CELLS);
    expect(used).toBeLessThanOrEqual(cells);
    const shown = layout.map(({ key }) => key);
    const least = Math.max(...layout.map(({ priority = 0 }) => priority));
    for (const { key, priority = 0 } of columns)
      if (!shown.includes(key)) expect(priority).toBeGreaterThan(least);
  });
});
