import { beforeEach, describe, expect, test } from 'vitest';
import { FakeEngine } from '../support/fake-engine.ts';
import { complete, idle } from '../support/guest-scripts.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { KEY, TerminalDriver } from '../support/terminal-driver.ts';

let clock: ManualClock;
let engine: FakeEngine;

beforeEach(() => {
  clock = new ManualClock();
  engine = new FakeEngine(clock);
});

/** The UI with a VM's screen open, after the first sample. */
async function start(columns = 80, rows = 24, options = {}) {
  if (engine.vms().length === 0) engine.add('demo', complete);
  const driver = new TerminalDriver(engine, clock, columns, rows, { open: 'demo', ...options });
  await driver.waitFor('[1 Summary]');
  clock.advance(250);
  await driver.waitFor(/all +running/);
  return driver;
}

const cursor = (driver: TerminalDriver) => driver.lines.find(line => line.startsWith('>')) ?? '';

describe('the tabs of a VM', () => {
  test('have a digit each, and Tab, h and l cycle through them', async () => {
    const driver = await start();
    driver.type('4');
    await driver.waitFor('[4 Queues]');
    driver.type('l\t');
    await driver.waitFor('[6 Net]');
    driver.type('h');
    await driver.waitFor('[5 Disks]');
    driver.type('1\x1b[Z');
    await driver.waitFor('[0 Snapshots]');
    driver.type('h');
    await driver.waitFor('[9 Events]');
    driver.type('0');
    await driver.waitFor('[0 Snapshots]');
    driver.type('\t');
    await driver.waitFor('[1 Summary]');
  });

  test('are remembered with their cursors as long as the screen is open', async () => {
    const driver = await start();
    driver.type('3jj');
    await driver.waitFor(driver => cursor(driver).includes('port 3f8'));
    driver.type(':log\r');
    await driver.waitFor('[7 Log]');
    driver.escape();
    await driver.waitFor('[3 Exits]');
    expect(cursor(driver)).toContain('port 3f8');
    driver.escape();
    await driver.waitFor(/NAME +STATE/);
    driver.type(KEY.enter);
    await driver.waitFor('[1 Summary]');
  });

  test('freeze the numbers, and show it', async () => {
    const driver = await start();
    driver.type('3p');
    await driver.waitFor('FROZEN');
    const held = driver.lines.slice(1);
    engine.renew('demo', { ...complete, addresses: [] });
    clock.advance(5000);
    for (const tab of ['[4 Queues]', '[2 vCPUs]', '[7 Devices]', '[3 Exits]']) {
      driver.type(tab[1]!);
      await driver.waitFor(tab);
      expect(driver.lines[0]).toContain('FROZEN');
    }
    expect(driver.lines.slice(1)).toEqual(held);
  });

  test('count from zero after r: unused addresses disappear', async () => {
    const driver = await start();
    driver.type('3');
    await driver.waitFor(/port 3fd .* 6\d\.\dk/);
    driver.type('r');
    await driver.waitFor('No device was accessed');
    clock.advance(1000);
    await driver.waitFor(/port 3fd .* 1\.0k/);
  });

  test('sort the exits, and report on other tabs that there is nothing to sort', async () => {
    const driver = await start();
    driver.type('3>');
    await driver.waitFor('▼RATE/s');
    expect(driver.lines[3]).toContain('port 3fd');
    driver.type('>');
    await driver.waitFor('ADDRESS▲');
    driver.type('4>');
    await driver.waitFor('cannot sort the exits: only the exits (3) can be sorted');
  });

  test('show the queue under the cursor, and the latency of its requests', async () => {
    const driver = await start();
    driver.type('4');
    await driver.waitFor(/─ blk0 requests:[\s\S]*66us-131us +100%/);
    driver.type('j');
    await driver.waitFor(/─ rng0 requests:[\s\S]*16us-33us +100%/);
  });
});

describe('the events of a VM', () => {
  test('follow the end until the cursor leaves it', async () => {
    const driver = await start();
    for (let event = 1; event <= 30; event++) engine.note('info', 'demo', `event ${event}.`);
    driver.type('9');
    await driver.waitFor(driver => cursor(driver).includes('event 30.'));
    engine.note('info', 'demo', 'event 31.');
    await driver.waitFor(driver => cursor(driver).includes('event 31.'));
    driver.type('k');
    await driver.waitFor(driver => cursor(driver).includes('event 30.'));
    engine.note('warning', 'demo', 'event 32.');
    engine.note('info', null, 'another matter');
    driver.type('k');
    await driver.waitFor(driver => cursor(driver).includes('event 29.'));
    driver.type('G');
    await driver.waitFor(driver => cursor(driver).includes('event 32.'));
    expect(driver.screen).not.toContain('another matter');
  });

  test('open from the log, where Enter goes to the VM of an entry', async () => {
    engine.add('demo', complete);
    engine.add('web', idle);
    engine.note('error', 'web', 'it broke');
    engine.note('info', null, 'the manager has started');
    const driver = await start();
    driver.type(':log\r');
    await driver.waitFor('[7 Log]');
    driver.type(KEY.enter);
    await driver.waitFor('cannot open the VM: the entry is about no VM');
    driver.type(`k${KEY.enter}`);
    await driver.waitFor('[9 Events]');
    expect(driver.lines[0]).toContain('web running');
  });
});

describe('typing into the console', () => {
  test('stays in the console pane if there is one, and otherwise opens it full screen', async () => {
    const driver = await start();
    driver.type('c');
    await driver.waitFor('you type to the guest');
    expect(driver.lines[1]).toContain('[1 Summary]');
    driver.type(KEY.ctrlRightBracket);
    driver.type('4c');
    await driver.waitFor('[8 Console]');
    await driver.waitFor('you type to the guest');
  });

  test('uses the console tab if the pane does not fit', async () => {
    const driver = await start(60, 20);
    driver.type('c');
    await driver.waitFor('[8 Console]');
    await driver.waitFor('you type to the guest');
  });
});

test('an additional row costs few bytes', async () => {
  engine.add('demo', complete);
  engine.note('info', 'demo', 'one');
  engine.note('info', 'demo', 'two');
  const driver = await start();
  driver.type('9k');
  await driver.waitFor(driver => cursor(driver).includes('one'));
  await driver.settled();
  const before = driver.stdout.written.length;
  engine.note('warning', 'demo', 'three');
  await driver.waitFor('three');
  expect(driver.stdout.written.length - before).toBeLessThan(150);
});
