import { beforeEach, describe, expect, test } from 'vitest';
import { FakeEngine } from '../support/fake-engine.ts';
import { busy } from '../support/guest-scripts.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { KEY, TerminalDriver } from '../support/terminal-driver.ts';

let clock: ManualClock;
let engine: FakeEngine;

beforeEach(() => {
  clock = new ManualClock();
  engine = new FakeEngine(clock, { remote: true });
});

async function start(columns = 80, rows = 24, options = {}) {
  const driver = new TerminalDriver(engine, clock, columns, rows, options);
  await driver.waitFor('q quit');
  return driver;
}

describe('quitting while VMs run', () => {
  test.each([
    [60, 20],
    [80, 24],
    [120, 40],
  ])('asks, with a safe default, at %i x %i', async (columns, rows) => {
    engine.add('web', busy);
    engine.add('db', busy);
    const driver = await start(columns, rows);
    driver.type('q');
    await driver.waitFor('>[ Detach ]');
    expect(driver.screen).toMatchSnapshot();
    expect(driver.wrapped).toBe(false);
    driver.type(KEY.enter);
    await driver.done;
    expect(engine.calls).toEqual([]);
  });

  test('can be canceled', async () => {
    engine.add('web', busy);
    const driver = await start();
    driver.type('q');
    await driver.waitFor('Quit vring?');
    driver.escape();
    await driver.waitFor('q quit');
  });

  test('does not ask if no VM runs, or in a read-only session', async () => {
    engine.add('web', busy, { state: 'off' });
    const driver = await start();
    driver.type('q');
    await driver.done;
    engine.add('db', busy);
    const second = await start(80, 24, { readOnly: true });
    second.type('q');
    await second.done;
  });

  const shutDown = async () => {
    const driver = await start();
    driver.type(`q${KEY.tab}${KEY.enter}`);
    await driver.waitFor('Shutting down: 0 of 2 off');
    return driver;
  };

  test('shuts them down, shows its progress, and quits when all are off', async () => {
    engine.add('web', busy);
    engine.add('db', busy);
    engine.add('old', busy, { state: 'off' });
    const driver = await shutDown();
    expect(engine.calls).toEqual(['powerButton web', 'powerButton db']);
    engine.become('web', 'off');
    await driver.waitFor('Shutting down: 1 of 2 off, 0 s');
    expect(driver.screen).toMatch(/web: off[\s\S]*db: running; power button pressed/);
    clock.advance(3000);
    await driver.waitFor('1 of 2 off, 3 s');
    expect(driver.screen).not.toContain('Kill');
    engine.become('db', 'off');
    await driver.done;
  });

  test('offers to kill those that do not shut down', async () => {
    engine.add('web', busy);
    engine.add('db', busy);
    const driver = await shutDown();
    engine.become('web', 'off');
    clock.advance(10_000);
    await driver.waitFor('[ Kill the rest ]');
    expect(driver.screen).toMatchSnapshot();
    driver.type(`${KEY.tab}${KEY.tab}${KEY.enter}`);
    await driver.done;
    expect(engine.calls.at(-1)).toBe('kill db');
  });

  test('names a VM whose guest has not enabled the power button, and offers to kill it', async () => {
    engine.add('web', busy);
    engine.add('db', busy);
    engine.noticesButton = false;
    const driver = await shutDown();
    await driver.waitFor('web: running; its guest has not enabled the power');
    expect(driver.screen).toContain('Kill the rest');
  });

  test('names VMs that cannot receive the power button, and can stop waiting', async () => {
    engine.add('web', busy, { state: 'paused' });
    engine.add('db', busy);
    const driver = await shutDown();
    await driver.waitFor('web: paused; a paused guest cannot react');
    expect(driver.screen).toContain('Kill the rest');
    driver.type(KEY.enter);
    await driver.waitFor('q quit');
    engine.become('db', 'off');
    engine.become('web', 'off');
    await driver.waitFor('web is off');
  });
});

describe('an unreachable manager', () => {
  test('is reported on every screen; actions are refused until it is back', async () => {
    engine.add('web', busy);
    const driver = await start();
    engine.lose({ kind: 'disconnected', text: 'the socket was closed' });
    await driver.waitFor('no connection to the manager: the socket was closed; reconnecting');
    expect(driver.screen).toMatch(/^> +web +running/m);
    expect(driver.screen).toMatchSnapshot();
    driver.type('P');
    await driver.waitFor('cannot pause: no connection to the manager: the socket was closed');
    expect(engine.calls).toEqual([]);
    driver.type(KEY.enter);
    await driver.waitFor('vring  web');
    expect(driver.screen).toContain('no connection to the manager');
    engine.lose(null);
    await driver.waitFor('reattached to the manager');
    expect(driver.screen).not.toContain('no connection');
    driver.type('P');
    await driver.waitFor('paused');
  });

  test('has died: the VMs that keep running are named, and one key starts a manager for them', async () => {
    for (const name of ['db', 'web']) engine.add(name, busy);
    engine.add('spare', busy, { state: 'off' });
    const driver = await start();
    engine.lose({ kind: 'died', text: 'the manager (process 7) died; the VMs keep running' });
    await driver.waitFor('the manager died; db and web keep running; A starts another manager');
    expect(driver.screen).toMatch(/^ A start again/m);
    expect(driver.screen).toMatch(/^> +db +running/m);
    driver.type('P');
    await driver.waitFor('cannot pause: no connection to the manager');
    driver.type('A');
    await driver.waitFor('reattached to the manager');
    expect(engine.calls).toEqual(['startManager']);
    expect(driver.screen).not.toMatch(/start again|died/);
  });

  test('has died: long names leave room for the key, which follows the one that leaves the console', async () => {
    for (const end of ['one', 'two']) engine.add(`a-virtual-machine-with-a-long-name-${end}`, busy);
    const driver = await start();
    engine.lose({ kind: 'died', text: 'the manager (process 7) died; the VMs keep running' });
    await driver.waitFor('the manager died; 2 VMs keep running; A starts another manager');
    driver.type('?');
    await driver.waitFor('; Esc and A starts another manager');
    driver.escape();
    await driver.waitFor('; A starts another manager');
  });

  test('has died, and some VMs with it: the key starts these as well', async () => {
    const reason = 'it ended unexpectedly: its process and its manager (process 7) died';
    engine.add('web', busy);
    const driver = await start();
    engine.lose({ kind: 'died', text: 'the manager (process 7) died; the VMs keep running' });
    await driver.waitFor('the manager died; web keeps running; A starts another manager');
    engine.startManager = async () => {
      engine.become('web', 'crashed', { interrupted: true, reason });
      engine.lose(null);
    };
    driver.type('A');
    await driver.waitFor('started web');
    expect(engine.calls).toEqual(['restart web']);
  });

  test('is slow: it is reported, and no manager is offered to be started', async () => {
    engine.add('web', busy);
    const driver = await start();
    engine.lose({ kind: 'slow', text: 'the manager (process 7) has not answered for 10 s: it is busy' });
    await driver.waitFor('has not answered for 10 s: it is busy');
    expect(driver.screen).not.toContain('start again');
    driver.type('A');
    driver.type('P');
    await driver.waitFor('cannot pause');
    expect(engine.calls).toEqual([]);
    engine.lose(null);
    await driver.waitFor('reattached to the manager');
  });

  test('allows quitting at once', async () => {
    engine.add('web', busy);
    const driver = await start();
    engine.lose({ kind: 'disconnected', text: 'the socket was closed' });
    await driver.waitFor('reconnecting');
    driver.type('q');
    await driver.done;
  });
});
