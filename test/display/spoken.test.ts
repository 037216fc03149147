import { beforeEach, describe, expect, test } from 'vitest';
import { spokenChanges, spokenLines } from '../../src/display/spoken-lines.ts';
import { FakeEngine } from '../support/fake-engine.ts';
import { busy } from '../support/guest-scripts.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { KEY, TerminalDriver } from '../support/terminal-driver.ts';

describe('a picture as lines', () => {
  test('omits decoration and empty lines', () => {
    expect(spokenLines('\x1b[1m  NAME    STATE\x1b[22m\n> web     running\n\n  ----\n')).toEqual([
      'NAME, STATE',
      '> web, running',
    ]);
  });

  test('is read only as far as it is new', () => {
    const before = ['NAME', '> web', 'db'];
    expect(spokenChanges(before, ['NAME', 'web', '> db'])).toEqual(['> db']);
    expect(spokenChanges(before, ['NAME', '> web', 'db, crashed'])).toEqual(['db, crashed']);
    expect(spokenChanges(before, ['> web', 'db', 'cache'])).toEqual(['cache']);
    expect(spokenChanges(before, before)).toEqual([]);
  });
});

describe('the UI for a screen reader', () => {
  let clock: ManualClock;
  let engine: FakeEngine;
  beforeEach(() => {
    clock = new ManualClock();
    engine = new FakeEngine(clock, { remote: true });
  });

  /** Lets time pass until nothing more is said. @returns what was said since the last time, by line */
  async function spoken(driver: TerminalDriver): Promise<string[]> {
    await new Promise(resolve => setTimeout(resolve, 60));
    clock.advance(100);
    await new Promise(resolve => setTimeout(resolve, 20));
    const lines = driver.stdout.written.slice(listened).replaceAll('\x1b[?2004h', '').split('\n');
    listened = driver.stdout.written.length;
    return lines.filter(line => line !== '');
  }
  let listened = 0;

  async function start() {
    listened = 0;
    const driver = new TerminalDriver(engine, clock, 120, 40, { screenReader: true });
    return driver;
  }

  test('reads the screen once, then each changed line', async () => {
    engine.add('web', busy);
    engine.add('db', busy);
    const driver = await start();
    await spoken(driver);
    clock.advance(250);
    const first = await spoken(driver);
    expect(first).toContain('> web, running, 1, 64M, 90%, 1.5k, 80M, 1M, 20.0k');
    // The numbers stand still by themselves.
    clock.advance(5000);
    expect((await spoken(driver)).filter(line => line.includes('running'))).toEqual([]);
    driver.type('j');
    expect(await spoken(driver)).toEqual(['> db, running, 1, 64M, 90%, 1.5k, 80M, 1M, 20.0k']);
    engine.become('web', 'paused');
    expect(await spoken(driver)).toEqual(['web, paused, 1, 64M, 90%, 1.5k, 80M, 1M, 20.0k']);
  });

  test('has the same keys, and questions without a border', async () => {
    engine.add('web', busy);
    const driver = await start();
    await spoken(driver);
    clock.advance(250);
    await spoken(driver);
    driver.type('K');
    expect(await spoken(driver)).toEqual([
      'Kill web?',
      'The power is cut immediately. What the guest has not written',
      'to its disks is lost.',
      '> [ Cancel ], [ Kill ]',
    ]);
    driver.type(KEY.tab);
    expect(await spoken(driver)).toEqual(['[ Cancel ] >[ Kill ]']);
    driver.type(KEY.enter);
    expect((await spoken(driver)).join('\n')).toContain('web is off: it was killed');
  });

  test('moves and erases nothing', async () => {
    engine.add('web', busy);
    const driver = await start();
    await spoken(driver);
    for (const key of ['j', '?', KEY.esc, KEY.enter, KEY.tab, KEY.esc, ':']) {
      driver.type(key);
      clock.advance(100);
      await spoken(driver);
    }
    expect(driver.stdout.written.replaceAll(/\x1b\[\?2004[hl]/g, '')).toMatch(/^[\x20-\x7e\n]*$/);
  });
});
