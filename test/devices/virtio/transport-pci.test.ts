import { beforeEach, describe, expect, test } from 'vitest';
import type { FakeMachine } from '../../support/fake-machine.ts';
import { ConfigOf } from '../../support/pci-device.ts';
import { COMMON, type GuestDriver, STATUS } from './guest-driver.ts';
import { Probe } from './probe.ts';
import type { ProbeDevice } from './probe-device.ts';

const NO_VECTOR = 0xffff;
const { acknowledge } = STATUS;

let probe: Probe;
let machine: FakeMachine;
let device: ProbeDevice;
let driver: GuestDriver;

beforeEach(() => {
  probe = new Probe();
  ({ machine, device, driver } = probe);
});

describe('notifications', () => {
  const notify = () => driver.notify.address;

  test('are kernel doorbells at the queue’s own address while the device is active', () => {
    expect(machine.doorbells.size).toBe(0);
    probe.start();
    const kicks = [...device.running.values()].map(({ queue }) => queue.kickFd);
    expect([...machine.doorbells]).toEqual([
      [notify(), kicks[0]],
      [notify() + 4, kicks[1]],
    ]);
    driver.status = 0;
    expect(machine.doorbells.size).toBe(0);
  });

  test('move with the BAR, and are removed while it is not mapped', () => {
    probe.start();
    driver.write(driver.config + 0x10, 4, 0xd000_0000);
    expect([...machine.doorbells.keys()]).toEqual([0xd000_3000, 0xd000_3004]);
    driver.write(driver.config + 4, 2, 0);
    expect(machine.doorbells.size).toBe(0);
    driver.write(driver.config + 4, 2, 2);
    expect(machine.doorbells.size).toBe(2);
  });

  test('that reach user space signal the same eventfd, of enabled queues only', () => {
    probe.start();
    const { kickFd } = device.queue(1);
    machine.doorbells.clear();
    driver.write(notify() + 4, 2, 1);
    driver.write(notify() + 400, 2, 1);
    expect(machine.eventFds.counts.get(kickFd)).toBe(1);
    device.driver(0).broken('bad ring');
    driver.write(notify() + 4, 2, 1);
    driver.status = 0;
    driver.write(notify() + 4, 2, 1);
    expect(machine.eventFds.counts.get(kickFd)).toBe(1);
  });

  test('of a BAR hidden by another device have no doorbells', () => {
    const hidden = new Probe(machine);
    hidden.start();
    expect(machine.doorbells.size).toBe(2);
    driver.write(hidden.driver.config + 0x10, 4, 0xc000_0000);
    expect(machine.doorbells.size).toBe(0);
  });

  test('of a BAR moved onto another device stay with that device', () => {
    probe.start();
    const first = { driver, kickFd: device.queue(0).kickFd };
    const at = first.driver.notify.address;
    const second = new Probe(machine);
    second.start();
    driver.write(second.driver.config + 0x10, 4, 0xc000_0000);
    expect(machine.doorbells.get(at)).toBe(first.kickFd);
    expect(machine.doorbells.size).toBe(2);
    driver.write(at, 2, 0);
    expect(machine.eventFds.counts.get(first.kickFd)).toBe(1);
  });
});

describe('power management', () => {
  const [D0, D3_HOT] = [0, 3];
  const NO_SOFT_RESET = 1 << 3;
  const ready = () => driver.status & STATUS.driverOk;
  let control: number;

  beforeEach(() => {
    const config = new ConfigOf(machine, 0, probe.transport.function.place.slot);
    control = config.base + config.capability(1) + 4;
    probe.start();
  });

  test('reports that D3hot resets the device, so that drivers set it up again after S3', () => {
    expect(driver.read(control, 2) & NO_SOFT_RESET).toBe(0);
  });

  test('keeps the state until D0, and resets it then', () => {
    driver.write(control, 2, D0);
    driver.write(control, 2, D3_HOT);
    expect(ready()).not.toBe(0);
    driver.write(control, 2, D0);
    expect(device.running.size).toBe(0);
    expect(driver.read(driver.config + 4, 2)).toBe(0);
    machine.pci.assign();
    driver.busMaster = true;
    expect(driver.status).toBe(0);
    probe.start();
    expect(ready()).not.toBe(0);
    expect(device.running.size).toBe(2);
  });
});

describe('interrupts', () => {
  test('with MSI-X, the call eventfd is connected to the vector that the driver chose', () => {
    const queues = probe.start();
    driver.enableMsix(3);
    driver.set16(COMMON.queueSelect, 0);
    driver.set16(COMMON.queueVector, 2);
    const { callFd } = device.queue(0);
    machine.eventFds.signal(callFd);
    expect(machine.vectors[2]!.sent).toEqual([{ address: 0xfee0_0000n, data: 0x42 }]);
    driver.set16(COMMON.queueVector, 1);
    machine.eventFds.signal(callFd);
    expect(machine.vectors[1]!.sent).toHaveLength(1);
    driver.set16(COMMON.queueVector, NO_VECTOR);
    machine.eventFds.signal(callFd);
    expect(machine.vectors.map(vector => vector.sent.length)).toEqual([0, 1, 1]);
    expect(driver.read(driver.isr.address, 1)).toBe(0);
    expect(queues[0].collect()).toEqual([]);
  });

  test('a vector outside the table reads back as none', () => {
    driver.set16(COMMON.queueSelect, 0);
    for (const field of [COMMON.queueVector, COMMON.configVector]) {
      driver.set16(field, 3);
      expect(driver.get16(field)).toBe(NO_VECTOR);
      driver.set16(field, 2);
      expect(driver.get16(field)).toBe(2);
    }
    driver.status = 0;
    expect(driver.get16(COMMON.configVector)).toBe(NO_VECTOR);
  });

  test('masked vectors show as pending and fire when they are unmasked', () => {
    probe.start();
    driver.enableMsix(3);
    driver.set16(COMMON.queueSelect, 0);
    driver.set16(COMMON.queueVector, 1);
    driver.write(driver.table + 16 + 12, 4, 1);
    machine.eventFds.signal(device.queue(0).callFd);
    expect(driver.read(driver.pending, 4)).toBe(0b010);
    expect(machine.vectors[1]!.sent).toEqual([]);
    driver.write(driver.table + 16 + 12, 4, 0);
    expect(driver.read(driver.pending, 4)).toBe(0);
    expect(machine.vectors[1]!.sent).toHaveLength(1);
    // The same with the function mask.
    driver.write(driver.msix + 2, 2, 0xc000);
    machine.eventFds.signal(device.queue(0).callFd);
    expect(driver.read(driver.pending, 1)).toBe(0b010);
    driver.write(driver.pending, 4, 0);
    driver.write(driver.msix + 2, 2, 0x8000);
    expect(machine.vectors[1]!.sent).toHaveLength(2);
  });

  test('a reset of the device drops pending interrupts', () => {
    probe.start();
    driver.enableMsix(3);
    driver.set16(COMMON.queueSelect, 0);
    driver.set16(COMMON.queueVector, 1);
    driver.write(driver.msix + 2, 2, 0xc000);
    machine.eventFds.signal(device.queue(0).callFd);
    driver.status = 0;
    expect(driver.read(driver.pending, 4)).toBe(0);
  });

  test('a config change increments the generation and notifies the driver', () => {
    probe.start();
    const generation = driver.read(driver.common.address + COMMON.generation, 1);
    device.onConfigChanged!();
    expect(driver.read(driver.common.address + COMMON.generation, 1)).toBe(generation + 1);
    expect(machine.lines[17]!.level).toBe(true);
    expect(driver.read(driver.isr.address, 1)).toBe(2);
    expect(machine.lines[17]!.level).toBe(false);
  });

  test("a call seen only after a reset doesn't assert the pin", () => {
    probe.start();
    machine.eventFds.signal(device.queue(0).callFd);
    driver.status = 0;
    machine.eventFds.settle();
    expect(machine.lines[17]!.level).toBe(false);
  });

  test('switching MSI-X on lowers the pin', () => {
    probe.start();
    device.onConfigChanged!();
    driver.enableMsix(3);
    expect(machine.lines[17]!.level).toBe(false);
    driver.write(driver.msix + 2, 2, 0);
    machine.eventFds.signal(device.queue(1).callFd);
    machine.eventFds.settle();
    expect(machine.lines[17]!.level).toBe(true);
  });
});

describe('config space', () => {
  test('of the device is readable and writable only inside its size', () => {
    driver.write(driver.device!.address + 6, 4, 0x4433_2211);
    expect(driver.read(driver.device!.address + 6, 4)).toBe(0x4433_2211);
    expect(driver.read(driver.device!.address + 8, 4)).toBe(0);
    driver.write(driver.device!.address + 9, 2, 0xffff);
    expect(driver.read(driver.device!.address + 9, 1)).toBe(0x44);
  });

  test('the access capability reaches the BAR without mapping it', () => {
    const { at } = driver.access;
    driver.write(driver.config + 4, 2, 0);
    driver.write(at + 4, 1, 0);
    const select = (offset: number, length: number) => {
      driver.write(at + 8, 4, offset);
      driver.write(at + 12, 4, length);
    };
    select(COMMON.status, 1);
    driver.write(at + 16, 1, acknowledge);
    driver.write(at + 16, 1, 0x4);
    expect(driver.read(at + 16, 4)).toBe(acknowledge);
    select(COMMON.numQueues, 2);
    expect(driver.read(at + 16, 2)).toBe(2);
    driver.write(at + 16, 4, 0x1234_5678);
    for (const [offset, length] of [
      [COMMON.numQueues, 3],
      [COMMON.numQueues + 1, 2],
      [COMMON.deviceFeature + 2, 4],
    ] as const) {
      select(offset, length);
      expect(driver.read(at + 16, 4)).toBe(0x1234_5678);
    }
    select(0xffff_fffc, 4);
    expect(driver.read(at + 16, 4)).toBe(0);
    driver.write(at + 4, 1, 5);
    driver.write(at + 16, 4, 0x1234_5678);
    expect(driver.read(at + 16, 4)).toBe(0x1234_5678);
  });
});
