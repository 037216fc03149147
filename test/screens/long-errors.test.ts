import { beforeEach, expect, test } from 'vitest';
import { FakeEngine } from '../support/fake-engine.ts';
import { busy, idle } from '../support/guest-scripts.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { TerminalDriver } from '../support/terminal-driver.ts';

let clock: ManualClock;
let engine: FakeEngine;
let driver: TerminalDriver;

beforeEach(() => {
  clock = new ManualClock();
  engine = new FakeEngine(clock);
});

const start = async (columns: number, rows: number) => {
  driver = new TerminalDriver(engine, clock, columns, rows);
  await driver.waitFor('q quit');
};

test.each([
  [60, 20],
  [80, 24],
])(
  'an error that does not fit refers to the log, which has the full text, at %i x %i',
  async (columns, rows) => {
    engine.add('web', busy);
    await start(columns, rows);
    const words = Array.from({ length: 40 }, (_, index) => `reason${index}`).join(' ');
    engine.failure = new Error(words);
    driver.type('P');
    await driver.waitFor('(:log)');
    expect(driver.screen).not.toContain('reason39');
    expect(driver.wrapped).toBe(false);
    driver.type('7');
    await driver.waitFor('reason39');
    expect(driver.screen.replace(/\s+/g, ' ')).toContain(words);
  },
);

test('a short error is only in the status line', async () => {
  engine.add('web', idle);
  await start(80, 24);
  engine.failure = new Error('no');
  driver.type('P');
  await driver.waitFor('cannot pause: no');
  expect(driver.screen).not.toContain('(:log)');
  driver.type('7');
  await driver.waitFor('Nothing yet');
});

test('a VM that cannot start is marked, and every reason is in its details', async () => {
  const blockers = [
    'this version of vring does not support UEFI firmware (machine.firmware: uefi) and virtio network cards (nics[0].model)',
    '/var/lib/vring/disks/web.img does not exist (disks[0].file)',
  ];
  engine.add('web', idle, { state: 'off', defined: true, blockers });
  await start(60, 20);
  await driver.waitFor('(d: about)');
  expect(driver.screen).toMatch(/^>? *! web/m);
  driver.type('S');
  await driver.waitFor('cannot start');
  expect(engine.calls).toEqual([]);
  driver.type('d');
  await driver.waitFor('Blocked by');
  const text = driver.screen.replace(/\s+/g, ' ');
  for (const blocker of blockers) expect(text).toContain(blocker);
});
