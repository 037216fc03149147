import { beforeEach, describe, expect, test } from 'vitest';
import { type ConsoleLine, ConsoleScreen } from '../../src/console/console-screen.ts';
import { width } from '../../src/text/width.ts';

let screen: ConsoleScreen;
let replies: string;

beforeEach(() => {
  replies = '';
  screen = new ConsoleScreen(20, 5, text => {
    replies += text;
  });
  return () => screen.dispose();
});

const print = (text: string) => new Promise<void>(done => screen.write(Buffer.from(text), done));
const textOf = (lines: ConsoleLine[]) => lines.map(line => line.map(span => span.text).join(''));
const shown = (height = 5, back = 0) => textOf(screen.lines(height, 20, back, false));

test('shows lines in their styles', async () => {
  await print('plain \x1b[1;31mred\x1b[0m\r\n\x1b[44mblue');
  expect(screen.lines(5, 20, 0, false)).toEqual([
    [{ text: 'plain ' }, { text: 'red', color: 'red', bold: true }],
    [{ text: 'blue', backgroundColor: 'blue' }],
  ]);
});

describe('guest output', () => {
  test.each([
    ['a title', '\x1b]0;title\x07x'],
    ['the clipboard', '\x1b]52;c;aGk=\x07x'],
    ['a device control string', '\x1bP+q544e\x1b\\x'],
    ['an application program command', '\x1b_Gf=100\x1b\\x'],
    ['8-bit controls', '\x9b31mx'],
    ['a bell and shifts', '\x07\x0e\x0fx'],
    ['a direction override', '\u202ex'],
    ['an escape sequence that is never finished', 'x\x1b[3'],
  ])('reaches the terminal only as text: %s', async (_, text) => {
    await print(text);
    expect(shown().join('')).toMatch(/^[\x20-\x7e]*x[\x20-\x7e]*$/);
  });

  test('occupies the cells that the emulator assigned', async () => {
    await print('漢字\u0301 e\u0301 \u{1F468}\u200D\u{1F469} \ufe0f☎\ufe0f|');
    for (const line of screen.lines(5, 20, 0, false)) {
      for (const { text } of line) expect(text).not.toMatch(/[\u0000-\u001f]/);
      expect(width(line.map(span => span.text).join(''))).toBeLessThanOrEqual(20);
    }
  });

  test('is truncated at the end of the pane, never in the middle of a wide character', async () => {
    await print('12345漢字');
    expect(textOf(screen.lines(5, 6, 0, false))).toEqual(['12345']);
    expect(textOf(screen.lines(5, 7, 0, false))).toEqual(['12345漢']);
  });
});

test('ends with the last line, or the cursor', async () => {
  await print('1\r\n2\r\n3');
  expect(shown(2)).toEqual(['2', '3']);
  await print('\x1b[5;1Hbottom\x1b[1;1H');
  expect(shown()).toEqual(['1', '2', '3', '', 'bottom']);
});

test('can be read back', async () => {
  await print(Array.from({ length: 30 }, (_, line) => `line ${line}`).join('\r\n'));
  expect(shown(2)).toEqual(['line 28', 'line 29']);
  expect(shown(2, 10)).toEqual(['line 18', 'line 19']);
  expect(shown(2, 1000)).toEqual(['line 0', 'line 1']);
});

test('marks the cursor when it is asked to', async () => {
  await print('ab');
  expect(screen.lines(5, 20, 0, true)).toEqual([[{ text: 'ab' }, { text: ' ', inverse: true }]]);
  await print('\r');
  expect(screen.lines(5, 20, 0, true)).toEqual([[{ text: 'a', inverse: true }, { text: 'b' }]]);
});

test('reports its cursor position', async () => {
  await print('ab\x1b[6n');
  expect(replies).toBe('\x1b[1;3R');
});
