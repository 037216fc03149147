import { beforeEach, expect, test } from 'vitest';
import { FakeEngine } from '../support/fake-engine.ts';
import { complete } from '../support/guest-scripts.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { KEY, TerminalDriver } from '../support/terminal-driver.ts';

let engine: FakeEngine;
let driver: TerminalDriver;

beforeEach(async () => {
  const clock = new ManualClock();
  engine = new FakeEngine(clock);
  engine.add('db', complete);
  driver = new TerminalDriver(engine, clock, 100, 24);
  await driver.waitFor('q quit');
  driver.type(`${KEY.enter}5`);
  await driver.waitFor('DISK');
});

test('a disk is given the size that is typed, or that of its file', async () => {
  driver.type('Z');
  await driver.waitFor(/Size of blk0 .*: 10G/);
  driver.type(`\x1520x${KEY.enter}`);
  await driver.waitFor('"20x" is not a size: expected one such as 20G');
  driver.type('Z');
  await driver.waitFor('Size of blk0');
  driver.type(`\x1520G${KEY.enter}`);
  await driver.waitFor('db: blk0 has 20G now');
  driver.type('Z');
  await driver.waitFor('Size of blk0');
  driver.type(`\x15${KEY.enter}`);
  await driver.waitFor('db: blk0 has 1G now');
  expect(engine.calls).toEqual([`resize blk0 to ${20 * 2 ** 30} of db`, 'resize blk0 to its file of db']);
});

test('a disk is limited', async () => {
  driver.type('L');
  await driver.waitFor('Limits of blk0');
  driver.type(`iops=many${KEY.enter}`);
  await driver.waitFor('"iops=many" is not a limit: expected iops=500');
  driver.type('L');
  await driver.waitFor('Limits of blk0');
  driver.type(`iops=500 bps=50M${KEY.enter}`);
  await driver.waitFor('db: limits of blk0: 500 requests/s, 50M/s');
  driver.type('L');
  await driver.waitFor('Limits of blk0');
  driver.type(`none${KEY.enter}`);
  await driver.waitFor('db: limits of blk0: none');
  expect(engine.calls).toEqual([
    `limit blk0 to {"iops":500,"bps":${50 * 2 ** 20}} of db`,
    'limit blk0 to {} of db',
  ]);
});

test('only a disk is', async () => {
  driver.type('1Z');
  await driver.waitFor('cannot resize the disk: choose a disk first, in the list of disks or devices');
  driver.type('7L');
  await driver.waitFor('cannot limit the disk: com1 is not a disk');
});
