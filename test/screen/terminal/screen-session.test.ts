import xterm from '@xterm/headless';
import { describe, expect, test } from 'vitest';
import type { InputEvent } from '../../../src/devices/input/input-event.ts';
import { KEY } from '../../../src/devices/input/key-codes.ts';
import type { ColorDepth } from '../../../src/screen/cells/colors.ts';
import { ScreenSession } from '../../../src/screen/terminal/screen-session.ts';
import { FakeScreen, graphicsFrame, textFrame } from '../../support/fake-screen.ts';
import { ManualClock } from '../../support/manual-clock.ts';

/** A session on a terminal emulator. */
function session(columns: number, rows: number, { depth = 'true' as ColorDepth, ascii = false } = {}) {
  const clock = new ManualClock();
  const link = new FakeScreen();
  const terminal = new xterm.Terminal({ cols: columns, rows, allowProposedApi: true });
  const inputs: InputEvent[] = [];
  let bytes = 0;
  let written = '';
  let left = false;
  const size = { columns, rows };
  const screen = new ScreenSession({
    ...{ name: 'web', link, depth, ascii, layout: 'us' as const, clock },
    terminal: {
      size,
      write: text => {
        written += text;
        bytes += Buffer.byteLength(text);
        terminal.write(text);
      },
      drained: () => Promise.resolve(),
    },
    input: events => inputs.push(...events),
    screenshot: null,
    left: () => {
      left = true;
    },
  });
  void screen.run();
  /** Lets the session draw, once the time between two frames has passed. */
  const settle = async () => {
    for (let round = 0; round < 6; round++) {
      await new Promise(resolve => setImmediate(resolve));
      clock.advance(50);
    }
    await new Promise<void>(resolve => terminal.write('', resolve));
  };
  return {
    ...{ screen, link, terminal, clock, inputs, settle, size },
    left: () => left,
    bytes: () => bytes,
    written: () => written,
    type: (text: string) => screen.typed(Buffer.from(text)),
    /** Past the notice of the first seconds. */
    begin: async () => {
      await settle();
      clock.advance(3000);
      await settle();
    },
    lines: () =>
      Array.from({ length: rows }, (_, row) =>
        terminal.buffer.active.getLine(row)!.translateToString(true).trimEnd(),
      ),
    cell: (column: number, row: number) => terminal.buffer.active.getLine(row)!.getCell(column)!,
  };
}

/** A menu of a BIOS. */
function bootMenu() {
  const frame = textFrame([
    'SeaBIOS (version 1.16.3)',
    '',
    'Select boot device:',
    '',
    '1. DVD/CD',
    '2. Floppy',
  ]);
  frame.cells.fill(0x1e00 | 0xcd, 80 * 8, 80 * 8 + 20);
  frame.cells[80 * 8] = 0x1ec9;
  frame.cells[80 * 8 + 19] = 0x1ebb;
  frame.cells.set(
    [0x70, 0x8c].map(attribute => (attribute << 8) | 0x41),
    80 * 10,
  );
  return frame;
}

test('a text mode at 80x24 is cut around the cursor, in its own colors', async () => {
  const one = session(80, 24);
  one.link.show(bootMenu());
  await one.begin();
  expect(one.lines()).toMatchSnapshot();
  expect(one.cell(0, 8).getFgColor()).toBe(0xffff55);
  expect(one.cell(0, 8).getBgColor()).toBe(0x0000aa);
  expect(one.cell(1, 10).isBlink()).not.toBe(0);
  const below = bootMenu();
  one.link.show({ ...below, cursor: { column: 3, row: 24, start: 13, end: 14 } });
  await one.settle();
  expect(one.lines()[0]).toBe('');
  expect(one.lines()[1]).toBe('Select boot device:');
  expect([one.terminal.buffer.active.cursorX, one.terminal.buffer.active.cursorY]).toEqual([3, 23]);
});

test('a text mode at 120x40 is in the middle', async () => {
  const one = session(120, 40);
  one.link.show(bootMenu());
  await one.begin();
  expect(one.lines()).toMatchSnapshot();
});

test.each([
  ['true', 0xaa5500],
  ['256', 130],
  ['16', 3],
] as const)('graphics of 640x480 in half blocks, %s colors', async (depth, expected) => {
  const one = session(80, 24, { depth });
  one.link.show(graphicsFrame(640, 480, (x, y) => (x < 320 === y < 240 ? 0xaa5500 : 0x0000aa)));
  await one.begin();
  expect(one.lines()).toMatchSnapshot();
  const upper = one.cell(9, 0);
  expect([upper.getChars(), upper.getFgColor(), upper.getBgColor()]).toEqual(['▀', expected, expected]);
});

test('without color, and in ASCII', async () => {
  const one = session(80, 24, { depth: 'none', ascii: true });
  one.link.show(bootMenu());
  await one.begin();
  expect(one.lines()).toMatchSnapshot();
  expect(one.written()).not.toMatch(/\x1b\[[\d;]*(3|4)8;/);
  // White on black in reverse is so here.
  expect(one.cell(0, 10).isInverse()).not.toBe(0);
  one.link.show(graphicsFrame(64, 48, x => (x < 32 ? 0 : 0xffffff)));
  await one.settle();
  expect(one.lines()[0]!.trim()).toMatch(/^@+$/);
});

test('a terminal that is made smaller and larger', async () => {
  const one = session(80, 25);
  one.link.show(bootMenu());
  await one.begin();
  Object.assign(one.size, { columns: 40, rows: 10 });
  one.terminal.resize(40, 10);
  one.screen.redraw();
  await one.settle();
  const lines = Array.from({ length: 10 }, (_, row) =>
    one.terminal.buffer.active.getLine(row)!.translateToString(true),
  );
  expect(lines).toMatchSnapshot();
});

test('only what changes is sent: a busy text screen stays far below 100 kB/s', async () => {
  const one = session(80, 25);
  const lines = Array.from({ length: 25 }, () => '');
  one.link.show(textFrame(lines));
  await one.begin();
  const before = one.bytes();
  // A second of ten frames, each of which scrolls by a line of a log.
  for (let frame = 0; frame < 10; frame++) {
    lines.shift();
    lines.push(`[   12.${frame}45678] ata${frame}: SATA link up 6.0 Gbps (SStatus 133 SControl ${frame}00)`);
    one.link.show(textFrame(lines));
    await one.settle();
  }
  expect(one.lines()[24]).toContain('ata9: SATA link up');
  const second = one.bytes() - before;
  expect(second).toBeLessThan(20_000);
  const quiet = one.bytes();
  lines[24] = lines[24]!.replace('900', '901');
  one.link.show(textFrame(lines));
  await one.settle();
  expect(one.bytes() - quiet).toBeLessThan(60);
});

describe('keys', () => {
  const codes = (events: readonly InputEvent[]) =>
    events.map(event => (event.kind === 'key' ? (event.down ? event.code : -event.code) : 0));

  test('go to the guest, but Ctrl-] and Ctrl-\\', async () => {
    const one = session(80, 25);
    one.type('A');
    expect(codes(one.inputs.splice(0))).toEqual([KEY.leftshift, KEY.a, -KEY.a, -KEY.leftshift]);
    one.type('\x1b[1;5A\x1bOP\x03\r');
    expect(codes(one.inputs.splice(0))).toEqual([
      ...[KEY.leftctrl, KEY.up, -KEY.up, -KEY.leftctrl],
      ...[KEY.f1, -KEY.f1],
      ...[KEY.leftctrl, KEY.c, -KEY.c, -KEY.leftctrl],
      ...[KEY.enter, -KEY.enter],
    ]);
    one.type('\x1b');
    expect(one.inputs).toEqual([]);
    one.clock.advance(60);
    expect(codes(one.inputs.splice(0))).toEqual([KEY.esc, -KEY.esc]);
    one.type('\x1bx');
    expect(codes(one.inputs.splice(0))).toEqual([KEY.leftalt, KEY.x, -KEY.x, -KEY.leftalt]);
    expect(one.left()).toBe(false);
    one.type('\x1d');
    expect(one.left()).toBe(true);
  });

  test('that terminals cannot send are in a menu', async () => {
    const one = session(80, 25);
    one.link.show(textFrame(['login:']));
    await one.begin();
    one.type('\x1c');
    await one.settle();
    expect(one.lines().join('\n')).toContain(' > Ctrl-Alt-Delete');
    one.type('\x1b[B\x1b[A\r');
    expect(codes(one.inputs.splice(0))).toEqual([
      ...[KEY.leftctrl, KEY.leftalt, KEY.delete],
      ...[-KEY.delete, -KEY.leftalt, -KEY.leftctrl],
    ]);
    await one.settle();
    expect(one.lines().join('\n')).not.toContain('Ctrl-Alt-Delete');
  });

  test('include presses and releases if the terminal reports them', async () => {
    const one = session(80, 25);
    one.type('\x1b[?0u\x1b[?62;22c');
    expect(one.written()).toContain('\x1b[>15u');
    one.type('\x1b[57442;5u\x1b[99;5u\x1b[99;5:3u\x1b[57442;1:3u');
    expect(codes(one.inputs.splice(0))).toEqual([KEY.leftctrl, KEY.c, -KEY.c, -KEY.leftctrl]);
    // The key that a German keyboard has z on is y to the guest.
    one.type('\x1b[122::121;1u');
    expect(codes(one.inputs.splice(0))).toEqual([KEY.y]);
    // The terminal goes to the background with it.
    one.type('\x1b[O');
    expect(codes(one.inputs.splice(0))).toEqual([-KEY.y]);
    one.type('\x1b[93;5u');
    expect(one.left()).toBe(true);
  });
});

describe('pictures', () => {
  const picture = graphicsFrame(64, 48, x => 0x010101 * x);

  test('use sixels if the terminal supports them and reports its cell size', async () => {
    const one = session(80, 24);
    one.link.show(picture);
    await one.begin();
    expect(one.written()).not.toContain('\x1bP');
    one.type('\x1b[6;16;8t\x1b[?62;4c');
    await one.settle();
    expect(one.written()).toMatch(/\x1bP0;1q"1;1;512;384#/);
  });

  test("use kitty's protocol if the terminal responds to it", async () => {
    const one = session(80, 24);
    one.link.show(picture);
    await one.begin();
    one.type('\x1b[?0u\x1b[6;16;8t\x1b[?62c');
    expect(one.written()).toContain('\x1b_Gi=31,s=1,v=1,a=q');
    one.type('\x1b_Gi=31;OK\x1b\\');
    await one.settle();
    expect(one.written()).toMatch(/\x1b_Ga=T,f=24,o=z,s=64,v=48,c=64,r=24,i=31/);
    one.screen.close();
    expect(one.written().endsWith('\x1b[?1049l')).toBe(true);
  });

  test('are not used if the terminal does not report its cell size', async () => {
    const one = session(80, 24);
    one.link.show(picture);
    await one.begin();
    one.type('\x1b[?62;4c');
    await one.settle();
    expect(one.written()).not.toContain('\x1bP');
  });
});
