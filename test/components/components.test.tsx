import { Box, Text } from 'ink';
import { render } from 'ink-testing-library';
import { describe, expect, test } from 'vitest';
import { ThemeContext } from '../../src/components/contexts.ts';
import { Dialog } from '../../src/components/dialog.tsx';
import { sparkline } from '../../src/components/sparkline.ts';
import { Table, TableRow } from '../../src/components/table/table.tsx';
import { TimeBar } from '../../src/components/time-bar.tsx';
import { plainGlyphs, unicodeGlyphs } from '../../src/theme/glyphs.ts';
import { createTheme } from '../../src/theme/theme.ts';
import { type Column, layoutColumns } from '../../src/view/table-columns.ts';
import { slide } from '../../src/view/table-window.ts';

const COLUMNS: readonly Column[] = [
  { key: 'name', title: 'NAME', min: 6, grow: 1 },
  { key: 'state', title: 'STATE', min: 5 },
  { key: 'rate', title: 'RATE', min: 6, align: 'right', priority: 1 },
  { key: 'more', title: 'MORE', min: 10, priority: 2, grow: 1 },
];
const widths = (cells: number) => layoutColumns(COLUMNS, cells).map(({ key, cells }) => `${key} ${cells}`);

describe('columns', () => {
  test('share the remaining width', () => {
    expect(widths(42)).toEqual(['name 11', 'state 5', 'rate 6', 'more 15']);
  });

  test('are dropped if they do not fit, the least important first', () => {
    expect(widths(31)).toEqual(['name 16', 'state 5', 'rate 6']);
    expect(widths(20)).toEqual(['name 12', 'state 5']);
  });

  test('of the same priority are dropped together', () => {
    const pair = COLUMNS.map(column => (column.key === 'more' ? { ...column, priority: 1 } : column));
    expect(layoutColumns(pair, 32).map(({ key }) => key)).toEqual(['name', 'state', 'rate', 'more']);
    expect(layoutColumns(pair, 31).map(({ key }) => key)).toEqual(['name', 'state']);
  });

  test('of priority 0 are dropped last, from the right, and the first stays', () => {
    expect(widths(14)).toEqual(['name 6', 'state 5']);
    expect(widths(13)).toEqual(['name 11']);
    expect(widths(5)).toEqual(['name 3']);
  });

  test('get their ideal width before any of them grows, those that matter most first', () => {
    const columns = COLUMNS.slice(0, 3).map(column => ({ ...column, ideal: 10 }));
    const at = (cells: number) => layoutColumns(columns, cells).map(({ cells }) => cells);
    expect(at(21)).toEqual([6, 5, 6]);
    expect(at(24)).toEqual([9, 5, 6]);
    expect(at(28)).toEqual([10, 8, 6]);
    expect(at(40)).toEqual([16, 10, 10]);
  });
});

test.each([
  ['stays where it is while the cursor is in it', 3, 10, 4, 5, 3],
  ['follows the cursor down', 0, 10, 4, 5, 2],
  ['follows the cursor up', 5, 10, 4, 2, 2],
  ['ends with the list', 9, 10, 4, 9, 6],
  ['starts at the top of a list that fits', 2, 3, 4, 2, 0],
  ['is empty on an empty list', 0, 0, 4, -1, 0],
])('a window %s', (_, first, length, height, cursor, expected) => {
  expect(slide(first, length, height, cursor)).toBe(expected);
});

describe('a table', () => {
  const layout = layoutColumns(COLUMNS.slice(0, 2), 16);
  const table = (cursor: number, mounted: string[] = []) => (
    <Table
      layout={layout}
      rows={Array.from({ length: 500 }, (_, index) => `vm${index}`)}
      height={4}
      cursor={cursor}
      focused
      renderRow={(row, selected) => {
        mounted.push(row);
        return (
          <TableRow
            key={row}
            layout={layout}
            selected={selected}
            cells={{ name: row, state: { text: 'running', token: 'status.ok' } }}
          />
        );
      }}
    />
  );

  test('renders only visible rows', () => {
    const mounted: string[] = [];
    const { lastFrame } = render(table(250, mounted));
    expect(new Set(mounted)).toEqual(new Set(['vm248', 'vm249', 'vm250']));
    expect(lastFrame()).toBe('  NAME     STATE\n  vm248    runn…\n  vm249    runn…\n> vm250    runn…');
  });

  test('shows why it is empty', () => {
    const empty = (
      <Table
        layout={layout}
        rows={[]}
        height={4}
        cursor={0}
        focused
        empty="None"
        renderRow={() => <Text>row</Text>}
      />
    );
    expect(render(empty).lastFrame()).toContain('None');
  });
});

describe('a sparkline', () => {
  test.each([
    [[], 4, 8, '    '],
    [[0, 0], 4, 8, '  ▁▁'],
    [[1, 2, 4, 8], 4, 8, '▂▃▅█'],
    [[9, 9, 1, 8], 2, 8, '▂█'],
    [[1, 2, 4, 8], 4, 80, '▁▁▁▁'],
    [[1, 20], 2, 10, '▁█'],
    [[1, 2], 0, 8, ''],
  ])('of %j in %i cells, up to %i, is %j', (values, cells, top, expected) => {
    expect(sparkline(values, cells, unicodeGlyphs.levels, top)).toBe(expected);
  });
});

describe('a bar of time', () => {
  const bar = (ascii: boolean) =>
    render(
      <ThemeContext value={createTheme({ color: false, ascii })}>
        <TimeBar time={{ guest: 0.5, kvm: 0.25, devices: 0.125 }} cells={16} />
      </ThemeContext>,
    ).lastFrame();

  test('has distinguishable parts without color', () => {
    expect(bar(false)).toBe('████████▓▓▓▓▒▒··');
    expect(bar(true)).toBe('########++++==..');
  });
});

test('the ASCII glyphs are ASCII', () => {
  expect(JSON.stringify(plainGlyphs)).toMatch(/^[\x20-\x7e]*$/);
});

test.each([0, 4, 8])('button %i of a dialog with too many is visible when it is focused', focus => {
  const choices = Array.from({ length: 9 }, (_, index) => ({ label: `Choice number ${index}` }));
  const layer = {
    kind: 'dialog',
    ticket: Symbol(),
    title: 'Which?',
    body: '',
    choices,
    focus,
    offset: 0,
  } as const;
  const { lastFrame, unmount } = render(
    <ThemeContext value={createTheme({ color: false, ascii: true })}>
      <Box width={60} height={12}>
        <Dialog layer={layer} size={{ columns: 60, rows: 12 }} />
      </Box>
    </ThemeContext>,
  );
  const lines = lastFrame()!
    .split('\n')
    .filter(line => line.trim() !== '');
  unmount();
  expect(lines.join('\n')).toContain(`>[ Choice number ${focus} ]`);
  expect(Math.max(...lines.map(line => line.length))).toBeLessThanOrEqual(60);
  // Its box is whole.
  expect(new Set(lines.map(line => line.length)).size).toBe(1);
});
