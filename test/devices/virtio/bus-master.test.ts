import { beforeEach, expect, test } from 'vitest';
import { RootPort } from '../../../src/devices/pci/root-port.ts';
import { VirtioPci } from '../../../src/devices/virtio/transport-pci.ts';
import { FakeMachine } from '../../support/fake-machine.ts';
import { ConfigOf } from '../../support/pci-device.ts';
import type { GuestDriver } from './guest-driver.ts';
import { Probe } from './probe.ts';
import { ProbeDevice } from './probe-device.ts';

let probe: Probe;
let device: ProbeDevice;
let driver: GuestDriver;

beforeEach(() => {
  probe = new Probe();
  ({ device, driver } = probe);
  probe.start();
});

test('a device that loses bus mastering stops its queues, and later continues where they stopped', () => {
  device.progress = [{ lastAvail: 3, usedIndex: 3 }];
  const status = driver.status;
  driver.busMaster = false;
  expect(device.running.size).toBe(0);
  expect(driver.status).toBe(status);
  driver.busMaster = true;
  expect([...device.running.keys()]).toEqual([0, 1]);
  expect(device.queue(0).progress).toEqual({ lastAvail: 3, usedIndex: 3 });
});

test('a device that regains bus mastering while its queues drain starts them afterward', () => {
  device.hangs = true;
  driver.busMaster = false;
  driver.busMaster = true;
  expect(device.running.size).toBe(0);
  device.release();
  expect(device.running.size).toBe(2);
});

test('without bus mastering, no queues start at DRIVER_OK, after a resume, or after a load', () => {
  driver.busMaster = false;
  probe.transport.quiesce(() => {});
  const state = probe.transport.save();
  probe.transport.resume();
  expect(device.running.size).toBe(0);
  driver.busMaster = true;
  expect(device.running.size).toBe(2);
  probe.transport.quiesce(() => {});
  probe.transport.load(state);
  probe.transport.resume();
  expect(device.running.size).toBe(0);
  driver.status = 0;
  probe.start();
  expect(device.running.size).toBe(0);
  driver.busMaster = true;
  expect(device.running.size).toBe(2);
});

test('a slot that is powered off resets the device in it', () => {
  const machine = new FakeMachine();
  const port = new RootPort('port0', { slot: 1, allocateMsi: machine.services.allocateMsi });
  machine.pci.root.plug(port, { slot: 2, function: 0 });
  const device = new ProbeDevice();
  const transport = new VirtioPci(device, machine.services);
  port.secondary.plug(transport.function);
  machine.pci.assign();
  transport.function.writeConfig(4, 2, 6);
  const common = transport.function.bars[0]!.address!;
  for (const status of [1, 3]) machine.memoryBus.write(common + 0x14, 1, status);
  expect(machine.memoryBus.read(common + 0x14, 1)).toBe(3);
  const config = new ConfigOf(machine, 0, 2);
  const slotControl = config.capability(0x10) + 24;
  config.write(slotControl, 2, 0x7c0);
  config.write(slotControl, 2, 0x1c0);
  transport.function.bars[0]!.program(common);
  transport.function.writeConfig(4, 2, 6);
  expect(machine.memoryBus.read(common + 0x14, 1)).toBe(0);
});
