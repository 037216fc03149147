import { beforeEach, describe, expect, test } from 'vitest';
import type { Device } from '../../../src/devices/device.ts';
import { deviceConfig } from '../../../src/devices/device-config.ts';
import { deviceTable } from '../../../src/devices/registry.ts';
import { FakeMachine } from '../../support/fake-machine.ts';
import { EVENT_IDX, GuestDriver, INDIRECT, PACKED, RING_RESET, STATUS, VERSION_1 } from './guest-driver.ts';

const RING = 0x1000;

let machine: FakeMachine;
let device: Device;
let driver: GuestDriver;

beforeEach(() => {
  machine = new FakeMachine();
});

function plug(options = {}): void {
  const config = deviceConfig.parse({ type: 'virtio-rng', ...options });
  const built = deviceTable.create(machine.services, config, 'rng0');
  device = built.device;
  machine.pci.plug(built.pci!);
  machine.pci.assign();
  driver = new GuestDriver(machine, 1);
}

function start(features = 0n): void {
  driver.negotiate(VERSION_1 | features);
  driver.queue(0, 8, RING).enable();
  driver.driverOk();
}

const running = () => [...machine.entropy.running.values()];

describe('virtio-rng', () => {
  test('passes its queue to the source, with what was negotiated', () => {
    plug();
    start(EVENT_IDX);
    expect(running()).toMatchObject([
      {
        queue: { index: 0, size: 8, descriptors: RING, counters: { slot: 0 } },
        options: { features: VERSION_1 | EVENT_IDX, limit: null },
      },
    ]);
    driver.status = 0;
    expect(running()).toEqual([]);
  });

  test('limits the rate of the guest', () => {
    plug({ 'max-bytes': 1024, period: 1000 });
    start();
    expect(running()[0]!.options.limit).toEqual({ bytes: 1024, periodMs: 1000 });
  });

  test('offers the features that its options leave enabled', () => {
    plug();
    expect(driver.offered).toBe(VERSION_1 | EVENT_IDX | INDIRECT | RING_RESET);
    machine = new FakeMachine();
    const off = { 'event-idx': false, 'indirect-desc': false, 'queue-reset': false };
    plug({ packed: true, 'iommu-platform': true, ...off });
    expect(driver.offered).toBe(VERSION_1 | PACKED | (1n << 33n));
  });

  test('is broken by an invalid ring, until a reset', () => {
    plug();
    start();
    running()[0]!.options.onBroken('the driver offered descriptor 99 of 8');
    expect(driver.status & STATUS.needsReset).toBe(STATUS.needsReset);
    expect(machine.broken).toEqual(['rng0: the driver offered descriptor 99 of 8']);
    expect(running()).toEqual([]);
    start();
    expect(running()).toHaveLength(1);
  });

  test('continues after a pause', () => {
    plug();
    start();
    machine.entropy.progress = { lastAvail: 3, usedIndex: 2, unfinished: [5] };
    device.quiesce!(() => {});
    expect(running()).toEqual([]);
    device.resume!();
    expect(running()[0]!.queue.progress).toEqual(machine.entropy.progress);
  });
});
