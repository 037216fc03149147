import { beforeEach, expect, test } from 'vitest';
import type { DefinedDevice } from '../../src/engine/hotplug/defined-device.ts';
import type { VmInfo } from '../../src/engine/vm-info.ts';
import { FakeEngine } from '../support/fake-engine.ts';
import { complete } from '../support/guest-scripts.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { KEY, TerminalDriver } from '../support/terminal-driver.ts';

const DISK: DefinedDevice = {
  ...{ name: 'blk0', type: 'virtio-blk', title: 'virtio block device', backend: 'disk', bus: 'pci.0' },
  facts: [
    { label: 'path', value: '/srv/root.img' },
    { label: 'read-only', value: false },
  ],
  path: '/srv/root.img',
};
const CARD: DefinedDevice = {
  ...{ name: 'net0', type: 'virtio-net', title: 'virtio network card', backend: 'net', bus: 'pci.0' },
  facts: [
    { label: 'network', value: 'bridge br0' },
    { label: 'MAC', value: '52:54:00:00:00:01' },
  ],
};

let engine: FakeEngine;
let driver: TerminalDriver;

beforeEach(() => {
  engine = new FakeEngine(new ManualClock());
});

async function start(info: Partial<VmInfo>): Promise<void> {
  engine.add('db', complete, { defined: true, definedDevices: [DISK, CARD], ...info });
  driver = new TerminalDriver(engine, new ManualClock(), 100, 24);
  await driver.waitFor('q quit');
  driver.type(`${KEY.enter}5`);
  await driver.waitFor('DISK');
}

const line = (text: string) => driver.lines.find(each => each.includes(text)) ?? '';

test('a VM that has never run shows the devices of its definition as not running', async () => {
  await start({ state: 'off', topology: null, startedAt: null });
  await driver.waitFor(/> blk0 .* - .*\/srv\/root.img/);
  await driver.waitFor(/State +not running: as in the definition, for the next start/);
  driver.type('6');
  await driver.waitFor(/> net0 +bridge br0 .*52:54:00:00:00:01/);
  driver.type('7j');
  await driver.waitFor(/> net0 +virtio-net +- +- /);
  expect(line('blk0')).toContain('virtio block device');
});

test('a VM that is off shows the devices of its definition, not unplugged ones', async () => {
  await start({ state: 'off', definedDevices: [{ ...DISK, name: 'data' }] });
  await driver.waitFor('> data');
  expect(driver.screen).not.toContain('blk0');
  driver.type('6');
  await driver.waitFor('No network cards; a attaches one');
});

test('a VM that is off without a definition shows the devices of its last run', async () => {
  await start({ state: 'off', defined: false, definedDevices: [] });
  await driver.waitFor('> blk0');
  driver.type('D');
  await driver.waitFor('cannot detach the device: db is off');
});

test('a device is removed from the definition of a VM that is off', async () => {
  await start({ state: 'off', topology: null, startedAt: null });
  driver.type('D');
  await driver.waitFor('Remove blk0 from the definition of db?');
  await driver.waitFor('the file of the disk is kept');
  driver.type(`${KEY.tab}${KEY.enter}`);
  await driver.waitFor('blk0 was removed from the definition of db');
  expect(engine.calls).toEqual(['detach blk0 for good from db']);
});

test('a controller with devices on its bus, or required by others, is not removed, with an immediate message', async () => {
  const controller: DefinedDevice = {
    ...{ name: 'scsi0', type: 'virtio-scsi', title: 'SCSI controller', backend: null, bus: 'pci.0' },
    facts: [],
  };
  await start({ state: 'off', topology: null, definedDevices: [{ ...controller, neededBy: ['sd0'] }] });
  driver.type('7');
  await driver.waitFor('> scsi0');
  driver.type('D');
  await driver.waitFor('cannot detach the device: scsi0 goes with sd0, which needs it');
  const onIt: DefinedDevice = { ...DISK, name: 'sd0', bus: 'scsi0' };
  engine.become('db', 'off', { definedDevices: [controller, onIt] });
  driver.type('D');
  await driver.waitFor('sd0 is on its bus: remove it first');
  engine.become('db', 'off', { definedDevices: [controller] });
  driver.type('D');
  await driver.waitFor('Remove scsi0 from the definition of db?');
});

test('a device that cannot be unplugged while the VM runs is rejected without a question', async () => {
  await start({ state: 'running', definedDevices: [CARD] });
  const { topology } = engine.vms()[0]!;
  const places = { rootPorts: [], devices: [{ name: 'blk0', bus: 'pci.0', addr: null }] };
  const devices = topology!.devices.map(device =>
    device.name === 'blk0' ? { ...device, fixed: true as const } : device,
  );
  engine.become('db', 'running', { topology: { ...topology!, devices, places } });
  driver.type('D');
  await driver.waitFor('blk0 (virtio-blk) cannot be unplugged while db runs');
  expect(driver.screen).not.toContain('Detach blk0');
});

test('only a device in the definition is detached persistently', async () => {
  await start({ state: 'running', definedDevices: [CARD] });
  const { topology } = engine.vms()[0]!;
  const places = { rootPorts: [], devices: [{ name: 'blk0', bus: 'pci.0', addr: null }] };
  engine.become('db', 'running', { topology: { ...topology!, places } });
  driver.type('D');
  await driver.waitFor('Detach blk0 from db?');
  expect(driver.screen).not.toContain('for good');
  driver.escape();
  await driver.waitFor(driver => !driver.screen.includes('Detach blk0'));
  const { facts } = topology!.devices.find(({ name }) => name === 'blk0')!;
  const path = String(facts.find(({ label }) => label === 'path')!.value);
  engine.become('db', 'running', { definedDevices: [{ ...DISK, path }] });
  driver.type('D');
  await driver.waitFor('[ Detach for good ]');
});
