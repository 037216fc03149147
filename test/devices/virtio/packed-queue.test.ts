import { beforeEach, describe, expect, test } from 'vitest';
import type { DeviceState } from '../../../src/devices/device.ts';
import type { QueueProgress } from '../../../src/devices/virtio/virtio-device.ts';
import type { FakeMachine } from '../../support/fake-machine.ts';
import { COMMON, type GuestDriver, PACKED, STATUS, VERSION_1 } from './guest-driver.ts';
import { Probe } from './probe.ts';
import type { ProbeDevice } from './probe-device.ts';

const RING = 0x1000;
const DRIVER_AREA = 0x2000;
const DEVICE_AREA = 0x2004;
const WRAP = 0x8000;

let probe: Probe;
let machine: FakeMachine;
let device: ProbeDevice;
let driver: GuestDriver;

beforeEach(() => {
  probe = new Probe(undefined, PACKED);
  ({ machine, device, driver } = probe);
});

/** Negotiates packed rings, enables queue 0 and writes DRIVER_OK. */
function start({ size = 48, ring = RING, driverArea = DRIVER_AREA, deviceArea = DEVICE_AREA } = {}): void {
  driver.negotiate(VERSION_1 | PACKED);
  driver.set16(COMMON.queueSelect, 0);
  driver.set16(COMMON.queueSize, size);
  driver.set64(COMMON.descriptors, ring);
  driver.set64(COMMON.available, driverArea);
  driver.set64(COMMON.used, deviceArea);
  driver.set16(COMMON.queueEnable, 1);
  driver.driverOk();
}

/** Descriptors as in the ring: only the flags matter here. */
function descriptors(...flags: number[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(16 * flags.length));
  flags.forEach((value, i) => {
    view.setUint16(16 * i + 14, value, true);
  });
  return new Uint8Array(view.buffer);
}

const NEXT = 1;

describe('a packed queue', () => {
  test('may have any size up to the maximum, and starts with both wrap counters at 1', () => {
    start();
    expect(device.queue(0)).toMatchObject({
      size: 48,
      descriptors: RING,
      available: DRIVER_AREA,
      used: DEVICE_AREA,
      progress: { lastAvail: WRAP, usedIndex: WRAP },
    });
  });

  test.each([
    ['size 0', { size: 0 }],
    ['a size over the maximum', { size: 65 }],
    ['an unaligned descriptor ring', { ring: RING + 8 }],
    ['an unaligned driver area', { driverArea: DRIVER_AREA + 2 }],
    ['an unaligned device area', { deviceArea: DEVICE_AREA + 2 }],
    ['a ring that leaves RAM', { ring: 0x10_0000 - 16 }],
    ['a driver area outside RAM', { driverArea: 0x10_0000 }],
    ['a device area outside RAM', { deviceArea: 0xfee0_0000 }],
  ])('with %s marks the device broken', (_what, change) => {
    start(change);
    expect(driver.status & STATUS.needsReset).toBe(STATUS.needsReset);
    expect(machine.broken[0]).toMatch(/^probe0: queue 0: /);
    expect(device.starts).toEqual([0, 0]);
  });

  test('may end at the end of RAM', () => {
    start({ ring: 0x10_0000 - 16 * 48, driverArea: 0x10_0000 - 16 * 48 - 4 });
    expect(machine.broken).toEqual([]);
    expect(device.starts).toEqual([1, 0]);
  });

  test('that was enabled before the driver chose packed rings is checked again', () => {
    driver.status = STATUS.acknowledge;
    driver.status = STATUS.acknowledge | STATUS.driver;
    driver.set16(COMMON.queueSelect, 0);
    // A split queue may have its available ring here, a packed one no driver area.
    driver.set64(COMMON.descriptors, RING);
    driver.set64(COMMON.available, DRIVER_AREA + 2);
    driver.set64(COMMON.used, 0x3000);
    driver.set16(COMMON.queueEnable, 1);
    driver.accept(VERSION_1 | PACKED);
    driver.status = STATUS.acknowledge | STATUS.driver | STATUS.featuresOk;
    driver.driverOk();
    expect(machine.broken).toEqual(['probe0: queue 0: driver area at 0x2002 not aligned to 4']);
  });

  test('continues where it stopped, with the descriptors that it had taken', () => {
    start();
    const progress: QueueProgress = {
      lastAvail: 3,
      usedIndex: WRAP | 40,
      unfinishedDescriptors: descriptors(NEXT, 0, 0),
    };
    device.progress = [progress];
    probe.transport.quiesce(() => {});
    const state = structuredClone(probe.transport.save());
    probe = new Probe(undefined, PACKED);
    probe.transport.load(state);
    expect(probe.transport.save()).toEqual(state);
    probe.transport.resume();
    expect(probe.device.queue(0).progress).toEqual(progress);
  });

  test.each<[string, Partial<QueueProgress>]>([
    ['a position outside the ring', { lastAvail: 48 }],
    ['a used position outside the ring', { usedIndex: WRAP | 48 }],
    ['less taken than returned', { lastAvail: WRAP | 3, usedIndex: WRAP | 4 }],
    ['more taken than the ring has', { lastAvail: 5, usedIndex: WRAP | 4 }],
    [
      'more descriptors than were taken',
      { lastAvail: WRAP | 2, unfinishedDescriptors: descriptors(0, 0, 0) },
    ],
    ['half a descriptor', { lastAvail: WRAP | 2, unfinishedDescriptors: descriptors(0, 0).subarray(8) }],
    ['a chain without an end', { lastAvail: WRAP | 2, unfinishedDescriptors: descriptors(0, NEXT) }],
  ])('is not loaded with %s', (_what, change) => {
    start();
    device.progress = [{ lastAvail: WRAP, usedIndex: WRAP }];
    probe.transport.quiesce(() => {});
    const state = structuredClone(probe.transport.save());
    const queue = ((state.lifecycle as DeviceState).queues as DeviceState[])[0]!;
    // The unchanged state is fine.
    probe.transport.load(structuredClone(state));
    Object.assign(queue, change);
    expect(() => probe.transport.load(state)).toThrow('saved device state');
  });
});
