import xterm from '@xterm/headless';
import { expect, test } from 'vitest';
import { TouchedRows } from '../../../src/screen/terminal/touched-rows.ts';
import { Random } from '../../support/random.ts';

const ROWS = 6;
const PIECES = [
  ...[
    '\n',
    '\r\n',
    'text',
    '\x1b[1m',
    '\x1b[0m',
    '\x1b[K',
    '\x1b[2K',
    '\x1b[1A',
    '\x1b[9A',
    '\x1b[E',
    '\x1b[2E',
  ],
  ...['\x1b[G', '\x1b[7G', '\x1b[3C', '\x1b[H', '\x1b[4;2H', '\x1b[F', '\x1b[B', '\x1b[?25l', '\x1b[?2026h'],
];

/** Every line of the terminal. */
async function linesOf(terminal: xterm.Terminal): Promise<string[]> {
  await new Promise<void>(resolve => terminal.write('', resolve));
  return Array.from({ length: ROWS }, (_, row) => terminal.buffer.active.getLine(row)!.translateToString());
}

test.each([1, 2, 3, 4])('the touched rows include all changed lines (%i)', async seed => {
  const random = new Random(seed);
  const terminal = new xterm.Terminal({ cols: 40, rows: ROWS, convertEol: true, allowProposedApi: true });
  // The alternate screen does not scroll into a history.
  terminal.write('\x1b[?1049h\x1b[H');
  const rows = new TouchedRows();
  let before = await linesOf(terminal);
  let untouched = 0;
  for (let step = 0; step < 300; step++) {
    // Each has its own text, so that a line that is written is another one.
    const pieces = Array.from({ length: 4 }, () => random.pick(PIECES).replace('text', `${step} `));
    // Ink never scrolls: a frame begins where there is room for it.
    const text = `\x1b[${1 + random.below(2)};1H${pieces.join('')}`;
    terminal.write(text);
    const touched = rows.written(text, ROWS);
    const now = await linesOf(terminal);
    const changed = now.flatMap((line, row) => (line === before[row] ? [] : [row]));
    for (const row of changed) expect(touched, JSON.stringify(text)).toContain(row);
    untouched += ROWS - touched!.size;
    before = now;
  }
  expect(untouched).toBeGreaterThan(300 * 3);
});

test.each(['\x1b[2J', '\x1b[J', '\x1b[?1049h', '\x1b[3S'])('%j may touch all rows', text => {
  expect(new TouchedRows().written(text, ROWS)).toBeNull();
});
