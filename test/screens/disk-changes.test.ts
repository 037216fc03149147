import { beforeEach, expect, test } from 'vitest';
import type { HostDeviceFacts } from '../../src/devices/vfio/host-device-facts.ts';
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

test('a disk gets the size that is typed, or that of its file', async () => {
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

test('only a disk is resized or limited', async () => {
  driver.type('1Z');
  await driver.waitFor('cannot resize the disk: choose a disk first, in the list of disks or devices');
  driver.type('7L');
  await driver.waitFor('cannot limit the disk: com1 is not a disk');
});

test('a disk that cannot be resized while its VM runs is rejected without a form', async () => {
  const { topology } = engine.vms()[0]!;
  const devices = topology!.devices.map(device =>
    device.name === 'blk0'
      ? { ...device, facts: [...device.facts, { label: 'transient', value: true }] }
      : device,
  );
  engine.become('db', 'running', { topology: { ...topology!, devices } });
  driver.type('Z');
  await driver.waitFor(/cannot resize the disk: disk .* is transient: resize it while/);
  expect(driver.screen).not.toContain('Size of blk0');
});

test('a snapshot of a VM with a host device is rejected without a form', async () => {
  const { topology } = engine.vms()[0]!;
  const hostDevice = { address: '0000:01:10.0' } as HostDeviceFacts;
  const devices = topology!.devices.map(device =>
    device.name === 'blk0' ? { ...device, hostDevice } : device,
  );
  driver.type('W');
  await driver.waitFor('Snapshot of db, name');
  driver.escape();
  engine.become('db', 'running', { topology: { ...topology!, devices } });
  driver.type('W');
  await driver.waitFor('cannot take a snapshot: blk0 is 0000:01:10.0 of the host');
});
