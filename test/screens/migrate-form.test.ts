import { beforeEach, describe, expect, test } from 'vitest';
import { FakeEngine } from '../support/fake-engine.ts';
import { complete } from '../support/guest-scripts.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { TerminalDriver } from '../support/terminal-driver.ts';

let clock: ManualClock;
let engine: FakeEngine;

beforeEach(() => {
  clock = new ManualClock();
  engine = new FakeEngine(clock);
});

async function start() {
  engine.add('demo', complete);
  const driver = new TerminalDriver(engine, clock, 100, 30, { open: 'demo' });
  await driver.waitFor('[1 Summary]');
  return driver;
}

describe('the form for a migration', () => {
  test('asks for the host, and begins', async () => {
    const driver = await start();
    driver.type('H');
    await driver.waitFor('Move demo to another host');
    driver.type('-v');
    await driver.waitFor('expected the name of a host');
    driver.type('\x7f\x7froot@host2');
    await driver.waitFor('its disks must be on storage that both hosts share');
    driver.type('\r\r\r\r\r\r');
    await driver.waitFor('demo runs on root@host2 now; its guest stood still for 40 ms');
    expect(engine.calls).toContain('migrate to root@host2 demo');
  });

  test('is followed by the progress, and can be canceled', async () => {
    const driver = await start();
    engine.become('demo', 'running', {
      task: {
        ...{ kind: 'migrate', name: 'host2', phase: 'sending', done: 10, total: 100, waitingFor: [] },
        migration: {
          ...{
            round: 2,
            left: 12 * 2 ** 20,
            bytesPerSecond: 110 * 2 ** 20,
            dirtyBytesPerSecond: 4 * 2 ** 20,
          },
          downtimeMs: 180,
        },
      },
    });
    await driver.waitFor('migration: round 2, 12M left, 110M/s, dirty 4M/s, downtime 180 ms');
    driver.type('H');
    await driver.waitFor('Cancel the migration of demo?');
    driver.type('\t\r');
    await driver.waitFor(() => engine.calls.includes('cancel task of demo'));
  });

  test('is not there for a VM that is off', async () => {
    const driver = await start();
    engine.become('demo', 'off');
    driver.type('H');
    await driver.waitFor('cannot move the VM to another host: demo is off');
  });
});
