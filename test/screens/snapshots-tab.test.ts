import { beforeEach, describe, expect, test } from 'vitest';
import { FakeEngine, snapshotInfo } from '../support/fake-engine.ts';
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
  driver.type('0');
  await driver.waitFor('[0 Snapshots]');
  return driver;
}

describe('the snapshots tab', () => {
  test('lists them with what does not match, and restores or deletes the one under the cursor', async () => {
    engine.stored = [
      snapshotInfo({ vm: 'demo', name: 'first', disks: 'copied' }),
      snapshotInfo({ vm: 'demo', name: 'second', parent: 'first', problems: ['its disk was written since'] }),
    ];
    const driver = await start();
    await driver.waitFor(/second .*first .*its disk was written/);
    driver.type('jY');
    await driver.waitFor('cannot restore the snapshot: it does not fit: its disk was written since');
    driver.type('kY');
    await driver.waitFor('Restore demo from first?');
    driver.type('\t\r');
    await driver.waitFor('demo was restored from first');
    expect(engine.calls).toContain('restore first by force of demo');
    driver.type('D');
    await driver.waitFor('Delete first of demo?');
    driver.type('\t\r');
    await driver.waitFor('deleted first of demo');
    expect(engine.calls).toContain('delete first of demo');
  });

  test('suggests a name, which typing replaces', async () => {
    const driver = await start();
    await driver.waitFor('No snapshots; W takes one');
    driver.type('W');
    await driver.waitFor('Snapshot of demo, name: snapshot-1');
    driver.type('before');
    await driver.waitFor('Snapshot of demo, name: before');
    driver.type('\r');
    await driver.waitFor('Snapshot before of demo: copy its disks?');
    driver.type('\r');
    // With the cursor moved to its end, the suggestion is edited.
    driver.type('W');
    await driver.waitFor('Snapshot of demo, name: snapshot-1');
    driver.type('\x1b[C');
    driver.type('0\r');
    await driver.waitFor('Snapshot snapshot-10 of demo: copy its disks?');
  });

  test('takes a named one, and shows its progress', async () => {
    const driver = await start();
    await driver.waitFor('No snapshots; W takes one');
    driver.type('W');
    await driver.waitFor('Snapshot of demo, name');
    driver.type('\r');
    await driver.waitFor('Snapshot snapshot-1 of demo: copy its disks?');
    driver.type('\t\r');
    await driver.waitFor('snapshot snapshot-1 of demo taken');
    expect(engine.calls).toContain('snapshot snapshot-1 with disks of demo');
    engine.become('demo', 'running', {
      task: {
        kind: 'snapshot',
        name: 'two',
        phase: 'writing',
        done: 2 ** 20,
        total: 2 ** 22,
        waitingFor: [],
      },
    });
    await driver.waitFor('snapshot two: writing 1M of 4M, 25%; W cancels');
    driver.type('W');
    await driver.waitFor('Cancel the snapshot of demo?');
    driver.type('\t\r');
    await driver.waitFor(() => engine.calls.includes('cancel task of demo'));
  });
});
