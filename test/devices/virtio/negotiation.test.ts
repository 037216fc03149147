import { beforeEach, describe, expect, test } from 'vitest';
import type { FakeMachine } from '../../support/fake-machine.ts';
import { COMMON, EVENT_IDX, type GuestDriver, INDIRECT, STATUS, VERSION_1 } from './guest-driver.ts';
import { Probe, RINGS } from './probe.ts';
import type { ProbeDevice } from './probe-device.ts';

const { acknowledge, driver: DRIVER, driverOk, featuresOk, needsReset } = STATUS;

let probe: Probe;
let machine: FakeMachine;
let device: ProbeDevice;
let driver: GuestDriver;

beforeEach(() => {
  probe = new Probe();
  ({ machine, device, driver } = probe);
});

describe('negotiation', () => {
  test("offers the features of device and transport, and accepts the driver's choice", () => {
    expect(driver.offered).toBe(0b101n | INDIRECT | EVENT_IDX | VERSION_1);
    driver.set32(COMMON.deviceFeatureSelect, 2);
    expect(driver.read(driver.common.address + COMMON.deviceFeature, 4)).toBe(0);
    expect(driver.negotiate(VERSION_1 | EVENT_IDX | 0b100n)).toBe(acknowledge | DRIVER | featuresOk);
    driver.accept(VERSION_1);
    driver.driverOk();
    expect(device.agreed).toBe(VERSION_1 | EVENT_IDX | 0b100n);
  });

  test.each([
    ['a bit that was not offered', VERSION_1 | 0b10n],
    ['a transport bit that was not offered', VERSION_1 | (1n << 40n)],
    ['no VERSION_1', 0b1n],
  ])('rejects FEATURES_OK with %s', (_what, features) => {
    expect(driver.negotiate(features)).toBe(acknowledge | DRIVER);
    driver.driverOk();
    expect(driver.status).toBe(acknowledge | DRIVER);
    expect(device.running.size).toBe(0);
    driver.accept(VERSION_1);
    driver.status = acknowledge | DRIVER | featuresOk;
    expect(driver.status).toBe(acknowledge | DRIVER | featuresOk);
  });

  test('accepts DRIVER_OK only after FEATURES_OK, and clears bits only by a reset', () => {
    driver.status = driverOk;
    expect(driver.status).toBe(0);
    driver.accept(VERSION_1);
    driver.status = acknowledge;
    driver.status = acknowledge | DRIVER | needsReset;
    expect(driver.status).toBe(acknowledge | DRIVER);
    driver.status = featuresOk;
    expect(driver.status).toBe(acknowledge | DRIVER | featuresOk);
  });

  test('accepts a driver that does not set DRIVER', () => {
    probe.start();
    driver.status = 0;
    driver.accept(VERSION_1);
    driver.status = featuresOk;
    driver.status |= driverOk;
    expect(driver.status).toBe(featuresOk | driverOk);
  });

  test('DRIVER_OK activates once; writing 0 deactivates and resets everything', () => {
    probe.start();
    driver.driverOk();
    driver.status = 0xf;
    expect(device.starts[0]).toBe(1);
    driver.status = 0;
    expect(driver.status).toBe(0);
    expect(device.running.size).toBe(0);
    driver.set16(COMMON.queueSelect, 1);
    expect(driver.get16(COMMON.queueSize)).toBe(16);
    expect(driver.get16(COMMON.queueEnable)).toBe(0);
    expect(driver.read(driver.common.address + COMMON.descriptors, 4)).toBe(0);
    probe.start();
    expect(device.starts[0]).toBe(2);
    expect(device.queue(0).progress).toEqual({ lastAvail: 0, usedIndex: 0 });
  });

  test('a device that cannot be activated needs a reset', () => {
    device.refusal = 'no thread';
    probe.start();
    expect(driver.status & needsReset).toBe(needsReset);
    expect(machine.broken).toEqual(['probe0: no thread']);
    expect(device.running.size).toBe(0);
    device.refusal = null;
    probe.start();
    expect(driver.status & needsReset).toBe(0);
    expect(device.running.size).toBe(2);
  });

  test('late reports about a previous activation have no effect', () => {
    probe.start();
    const { broken } = device.driver(0);
    driver.status = 0;
    broken('late');
    probe.start();
    broken('later');
    expect(driver.status & needsReset).toBe(0);
    expect(driver.read(driver.common.address + COMMON.generation, 1)).toBe(0);
    expect(machine.broken).toEqual([]);
  });

  test('a broken device sets DEVICE_NEEDS_RESET and interrupts once', () => {
    driver.negotiate(VERSION_1);
    driver.enableMsix(3);
    driver.set16(COMMON.configVector, 2);
    driver.queue(0, 64, RINGS).enable();
    driver.driverOk();
    const { broken } = device.driver(0);
    broken('bad ring');
    broken('bad ring again');
    expect(driver.status & needsReset).toBe(needsReset);
    expect(machine.broken).toEqual(['probe0: bad ring']);
    expect(machine.vectors[2]!.sent).toHaveLength(1);
    expect(device.running.size).toBe(0);
    driver.driverOk();
    expect(device.starts[0]).toBe(1);
  });
});

describe('queues', () => {
  test('are passed to the device as the driver set them up', () => {
    const [, second] = probe.start();
    expect(device.queue(1)).toMatchObject({
      index: 1,
      size: 8,
      descriptors: second.descriptors,
      available: second.available,
      used: second.used,
    });
  });

  test('an enabled queue cannot be changed, enabled again or disabled', () => {
    const [first] = probe.start();
    driver.set16(COMMON.queueSelect, 0);
    driver.set16(COMMON.queueSize, 4);
    driver.set64(COMMON.descriptors, 0x20_0000);
    driver.set16(COMMON.queueEnable, 0);
    driver.set16(COMMON.queueEnable, 1);
    expect(driver.get16(COMMON.queueSize)).toBe(64);
    expect(driver.get16(COMMON.queueEnable)).toBe(1);
    expect(driver.read(driver.common.address + COMMON.descriptors, 4)).toBe(first.descriptors);
    expect(driver.status & needsReset).toBe(0);
  });

  test('a queue cannot be enabled once the device runs', () => {
    driver.negotiate(VERSION_1);
    driver.driverOk();
    driver.queue(0, 64, RINGS).enable();
    expect(driver.get16(COMMON.queueEnable)).toBe(0);
    expect(driver.status & needsReset).toBe(0);
  });

  test('queues that do not exist read as size 0 and ignore writes', () => {
    driver.negotiate(VERSION_1);
    driver.set16(COMMON.queueSelect, 2);
    for (const field of [COMMON.queueSize, COMMON.queueEnable, COMMON.descriptors, COMMON.queueVector]) {
      driver.set16(field, 1);
      expect(driver.get16(field)).toBe(0);
    }
    expect(driver.get16(COMMON.numQueues)).toBe(2);
    driver.driverOk();
    expect(device.running.size).toBe(0);
  });

  test.each([
    ['size 0', { size: 0 }],
    ['a size that is no power of two', { size: 12 }],
    ['a size over the maximum', { size: 128 }],
    ['unaligned descriptors', { descriptors: RINGS + 8 }],
    ['an unaligned available ring', { available: RINGS + 1 }],
    ['an unaligned used ring', { used: RINGS + 2 }],
    ['descriptors outside RAM', { descriptors: 0x10_0000 }],
    ['descriptors that leave RAM', { descriptors: 0x10_0000 - 16 }],
    ['a used ring outside RAM', { used: 0xfee0_0000 }],
    ['an available ring above 2^52', { available: 2 ** 63 }],
  ])('%s marks the device broken', (_what, change) => {
    driver.negotiate(VERSION_1);
    const setup = { size: 64, descriptors: RINGS, available: RINGS + 0x400, used: RINGS + 0x800, ...change };
    driver.set16(COMMON.queueSelect, 0);
    driver.set16(COMMON.queueSize, setup.size);
    driver.set64(COMMON.descriptors, setup.descriptors);
    driver.set64(COMMON.available, setup.available);
    driver.set64(COMMON.used, setup.used);
    driver.set16(COMMON.queueEnable, 1);
    driver.driverOk();
    expect(driver.status & needsReset).toBe(needsReset);
    expect(machine.broken[0]).toMatch(/^probe0: queue 0: /);
    expect(device.starts[0]).toBe(0);
  });
});
