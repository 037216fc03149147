import { beforeEach, describe, expect, test } from 'vitest';
import { FakeEngine } from '../support/fake-engine.ts';
import { graphicsFrame, textFrame } from '../support/fake-screen.ts';
import { busy } from '../support/guest-scripts.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { PictureTerminal } from '../support/picture-terminal.ts';
import { Random } from '../support/random.ts';
import { TerminalDriver } from '../support/terminal-driver.ts';

const COLUMNS = 80;
const ROWS = 24;
const RED = 0xff0000;
const BLUE = 0x0000ff;
const VGA = {
  ...{ name: 'vga0', type: 'vga', title: 'VGA', backend: null, bus: 'pci.0', address: '00:02.0' },
  facts: [],
  screen: true as const,
};
/** What terminals answer to the queries. */
const ANSWERS = {
  sixel: '\x1b[6;16;8t\x1b[?62;4c',
  kitty: '\x1b[?0u\x1b[6;16;8t\x1b[?62c\x1b_Gi=31;OK\x1b\\',
} as const;

let clock: ManualClock;
let engine: FakeEngine;
let id: string;

beforeEach(() => {
  clock = new ManualClock();
  engine = new FakeEngine(clock);
  const consoles = [{ port: 0, name: 'com1', title: 'serial port' }];
  id = engine.add('demo', { ...busy, devices: [VGA], consoles });
});

const halves = (left: number, right: number) => graphicsFrame(320, 200, x => (x < 160 ? left : right));

/** The screen in the console's tab, on a terminal that has answered. */
async function start(answer: string, env: NodeJS.ProcessEnv = {}) {
  const driver = new TerminalDriver(engine, clock, COLUMNS, ROWS, {
    open: id,
    env: { TERM: 'xterm', LANG: 'C.UTF-8', ...env },
  });
  const terminal = new PictureTerminal(COLUMNS, ROWS);
  let read = 0;
  /** Lets the UI draw what is due. */
  const settle = async () => {
    for (let round = 0; round < 8; round++) {
      await new Promise(resolve => setImmediate(resolve));
      clock.advance(50);
    }
    await driver.settled();
    terminal.write(driver.stdout.written.slice(read));
    read = driver.stdout.written.length;
  };
  /** Ink draws a frame when it has time, after which the picture over it is drawn again. */
  const shows = (cells: readonly string[]) =>
    expect
      .poll(
        async () => {
          await settle();
          return terminal.seen;
        },
        { timeout: 10_000 },
      )
      .toEqual(cells);
  /** The half blocks of the first frame were replaced by a picture, which has been sent completely. */
  const drawn = async () => {
    let sent = 0;
    await expect
      .poll(
        async () => {
          const before = sent;
          await settle();
          sent = terminal.pictureBytes;
          return sent > 0 && sent === before && !driver.screen.includes('▀');
        },
        { timeout: 10_000 },
      )
      .toBe(true);
  };
  await driver.waitFor('q quit');
  driver.type('8');
  await driver.waitFor('SCREEN vga0 (2 of 2, t)');
  await settle();
  if (answer !== '') {
    await expect.poll(() => driver.stdout.written).toContain('\x1b[16t');
    driver.type(answer);
    await settle();
  }
  if (Object.values(ANSWERS).some(each => each === answer)) await drawn();
  return { driver, terminal, settle, shows };
}

describe.each(['sixel', 'kitty'] as const)('by %s, graphics are a picture', protocol => {
  test('that covers only the cells of the pane', async () => {
    engine.screens.show(id, halves(RED, BLUE));
    const { terminal, driver } = await start(ANSWERS[protocol]);
    const rows = terminal.seen.flatMap((line, row) => (line.includes('#') ? [row] : []));
    const title = driver.lines.findIndex(line => line.includes('SCREEN vga0'));
    expect(rows[0]).toBe(title + 1);
    expect(rows.at(-1)).toBe(ROWS - 3);
    expect(terminal.seen[rows[0]!]!.trim()).toMatch(/^#+$/);
    const left = terminal.seen[rows[0]!]!.indexOf('#');
    const right = terminal.seen[rows[0]!]!.lastIndexOf('#');
    // In its middle, with its aspect ratio.
    expect(Math.abs(left - (COLUMNS - 1 - right))).toBeLessThanOrEqual(1);
    expect((8 * (right - left + 1)) / (16 * rows.length)).toBeCloseTo(1.6, 1);
    for (const row of rows) {
      expect(terminal.pixel(8 * left + 4, 16 * row + 8)).toBe(RED);
      expect(terminal.pixel(8 * right + 4, 16 * row + 15)).toBe(BLUE);
    }
    expect(driver.screen).not.toContain('▀');
  });

  test('that is updated by changed lines only', async () => {
    engine.screens.show(id, halves(RED, BLUE));
    const { terminal, settle } = await start(ANSWERS[protocol]);
    const whole = terminal.pictureBytes;
    const seen = terminal.seen;
    expect(whole).toBeGreaterThan(0);
    engine.screens.show(
      id,
      graphicsFrame(320, 200, (x, y) => (x < 160 ? (x < 10 && y < 4 ? BLUE : RED) : BLUE)),
    );
    await settle();
    const first = seen.findIndex(line => line.includes('#'));
    const left = seen[first]!.indexOf('#');
    expect(terminal.pixel(8 * left + 1, 16 * first + 1)).toBe(BLUE);
    expect(terminal.pixel(8 * left + 1, 16 * (first + 1) + 1)).toBe(RED);
    expect(terminal.seen).toEqual(seen);
    expect(terminal.pictureBytes - whole).toBeLessThan(whole / 5);
  });

  test('that is hidden by a dialog, and shown again', async () => {
    engine.screens.show(id, halves(RED, BLUE));
    const { terminal, driver, settle, shows } = await start(ANSWERS[protocol]);
    const seen = terminal.seen;
    driver.type('K');
    await driver.waitFor('Kill demo?');
    await settle();
    expect(terminal.seen.join('')).toBe('');
    expect(terminal.images).toBe(0);
    // What is around the dialog is drawn with cells.
    await driver.waitFor('▀');
    driver.escape();
    await driver.waitFor(({ screen }) => !screen.includes('Kill demo?'));
    await shows(seen);
  });

  test('that is removed with the pane, and with the UI', async () => {
    engine.screens.show(id, halves(RED, BLUE));
    const { terminal, driver, settle, shows } = await start(ANSWERS[protocol]);
    const seen = terminal.seen;
    for (const keys of ['2', '?']) {
      driver.type(keys);
      await settle();
      expect(terminal.seen.join('')).toBe('');
      expect(terminal.images).toBe(0);
      if (keys === '?') driver.escape();
      driver.type('8');
      await shows(seen);
    }
    await driver.leave();
    await settle();
    expect(terminal.images).toBe(0);
  });

  test('until the guest switches to text mode', async () => {
    engine.screens.show(id, halves(RED, BLUE));
    const { terminal, driver, settle } = await start(ANSWERS[protocol]);
    engine.screens.show(id, textFrame(['login:']));
    await driver.waitFor('login:');
    await settle();
    expect(terminal.seen.join('')).toBe('');
    expect(terminal.images).toBe(0);
  });

  test('that survives a redraw of the terminal', async () => {
    engine.screens.show(id, halves(RED, BLUE));
    const { terminal, driver, shows } = await start(ANSWERS[protocol]);
    const seen = terminal.seen;
    driver.type('\x0c');
    await shows(seen);
    expect(seen.join('')).toContain('#');
  });

  test('that is sent at 100 kB/s over SSH', async () => {
    const random = new Random(1);
    const noise = () => graphicsFrame(640, 400, () => random.below(1 << 24));
    engine.screens.show(id, noise());
    const { terminal, settle } = await start(ANSWERS[protocol], { SSH_TTY: '/dev/pts/9' });
    const [from, sent] = [clock.now(), terminal.pictureBytes];
    for (let round = 0; round < 20; round++) {
      engine.screens.show(id, noise());
      await settle();
    }
    const rate = (terminal.pictureBytes - sent) / (clock.now() - from);
    expect(rate).toBeLessThan(110);
    expect(rate).toBeGreaterThan(20);
  });
});

test.each([
  ['says nothing', ''],
  ['has neither', '\x1b[6;16;8t\x1b[?62;22c'],
  ['does not say how large a cell is', '\x1b[?62;4c'],
])('a terminal that %s shows half blocks', async (_, answer) => {
  engine.screens.show(id, halves(RED, BLUE));
  const { terminal, driver } = await start(answer);
  await driver.waitFor('▀');
  expect(terminal.pictureBytes).toBe(0);
});

test('a terminal is queried only when there are graphics to show', async () => {
  engine.screens.show(id, textFrame(['login:']));
  const { driver } = await start('');
  expect(driver.stdout.written).not.toContain('\x1b[16t');
});
