import { beforeEach, expect, test } from 'vitest';
import { KEY as KEYS } from '../../src/devices/input/key-codes.ts';
import { FakeEngine } from '../support/fake-engine.ts';
import { graphicsFrame, textFrame } from '../support/fake-screen.ts';
import { busy } from '../support/guest-scripts.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { TerminalDriver } from '../support/terminal-driver.ts';

let clock: ManualClock;
let engine: FakeEngine;
let id: string;

const VGA = {
  ...{ name: 'vga0', type: 'vga', title: 'VGA', backend: null, bus: 'pci.0', address: '00:02.0' },
  facts: [],
  screen: true as const,
};

beforeEach(() => {
  clock = new ManualClock();
  engine = new FakeEngine(clock);
  const consoles = [{ port: 0, name: 'com1', title: 'serial port' }];
  id = engine.add('demo', { ...busy, devices: [VGA], consoles });
});

test('the serial port of a VM whose firmware uses it comes before its screen', async () => {
  const consoles = [{ port: 0, name: 'com1', title: 'serial port' }];
  engine.screens.show(id, MENU);
  const serial = engine.add('serial', { ...busy, devices: [VGA], consoles, serialFirst: true });
  const driver = new TerminalDriver(engine, clock, 80, 24, { open: serial });
  await driver.waitFor('q quit');
  driver.type('8');
  await driver.waitFor('com1 (1 of 2, t)');
  driver.type('t');
  await driver.waitFor('SCREEN vga0 (2 of 2, t)');
});

/** The screen in the console's tab. */
async function start(columns: number, rows: number, options = {}) {
  const driver = new TerminalDriver(engine, clock, columns, rows, { open: id, ...options });
  await driver.waitFor('q quit');
  driver.type('8');
  await driver.waitFor('SCREEN vga0 (2 of 2, t)');
  return driver;
}

const MENU = textFrame(['SeaBIOS (version 1.16.3)', '', 'Press ESC for boot menu.']);

test.each([
  [80, 24],
  [120, 40],
])('a text mode at %i x %i', async (columns, rows) => {
  engine.screens.show(id, MENU);
  const driver = await start(columns, rows);
  await driver.waitFor('Press ESC for boot menu.');
  expect(driver.screen).toMatchSnapshot();
});

test('a VM with a screen opens on it, and stays on the chosen console', async () => {
  engine.screens.show(id, MENU);
  const driver = await start(80, 24);
  driver.type('t');
  await driver.waitFor('SERIAL CONSOLE');
  driver.type('1');
  await driver.waitFor('[1 Summary]');
  expect(driver.screen).toContain('SERIAL CONSOLE');
  driver.type('8t');
  await driver.waitFor('SCREEN vga0 (2 of 2, t)');
});

test('graphics in half blocks, and without color', async () => {
  engine.screens.show(
    id,
    graphicsFrame(640, 480, (x, y) => (x + y < 500 ? 0xffffff : 0x0000aa)),
  );
  const driver = await start(80, 24);
  await driver.waitFor('▀▀▀');
  expect(driver.screen).toMatchSnapshot();
  const plain = await start(80, 24, { noColor: true });
  await plain.waitFor('███');
  expect(plain.screen).toMatchSnapshot();
});

test('keys go to the keyboard of the VM until Ctrl-]', async () => {
  engine.screens.show(id, MENU);
  const driver = await start(80, 24);
  driver.type('c');
  await driver.waitFor('you type to the guest, Ctrl-] leaves');
  driver.type('q');
  await expect.poll(() => engine.inputs).toHaveLength(2);
  expect(engine.inputs).toEqual([
    { kind: 'key', code: KEYS.q, down: true },
    { kind: 'key', code: KEYS.q, down: false },
  ]);
  driver.type('\x1d');
  await driver.waitFor('z: on the whole terminal');
});

test('keys that terminals cannot send are chosen from a list', async () => {
  const driver = await start(80, 24);
  driver.type('f');
  await driver.waitFor('Ctrl-Alt-Delete');
  driver.type('\r');
  await expect.poll(() => engine.inputs).toHaveLength(6);
  expect(engine.inputs[2]).toEqual({ kind: 'key', code: KEYS.delete, down: true });
  // All of them can be reached, by what is typed.
  driver.type('f');
  await driver.waitFor('Windows key');
  driver.type('wind\r');
  await expect.poll(() => engine.inputs).toHaveLength(8);
  expect(engine.inputs[6]).toEqual({ kind: 'key', code: KEYS.leftmeta, down: true });
});
