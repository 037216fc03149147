import { beforeEach, describe, expect, test } from 'vitest';
import type { DeviceState } from '../../../src/devices/device.ts';
import { deviceConfig } from '../../../src/devices/device-config.ts';
import type { BuiltDevice } from '../../../src/devices/device-type.ts';
import { deviceTable } from '../../../src/devices/registry.ts';
import { FakeBlockBackend } from '../../support/fake-block-backend.ts';
import { FakeMachine } from '../../support/fake-machine.ts';
import { COMMON, GuestDriver, STATUS, VERSION_1 } from './guest-driver.ts';

const FEATURE = {
  readonly: 1n << 5n,
  flush: 1n << 9n,
  configWce: 1n << 11n,
  multiqueue: 1n << 12n,
  discard: 1n << 13n,
  writeZeroes: 1n << 14n,
};
const RINGS = 0x1000;
/** Offset of the cache mode in the config space. */
const WRITEBACK = 32;

let machine: FakeMachine;
let backend: FakeBlockBackend;
let built: BuiltDevice;
let driver: GuestDriver;

beforeEach(() => {
  machine = new FakeMachine();
  backend = new FakeBlockBackend();
});

function plug(options = {}): void {
  machine.disk = backend;
  built = deviceTable.create(
    machine.services,
    deviceConfig.parse({ type: 'virtio-blk', path: '/disk', ...options }),
    'blk0',
  );
  machine.pci.plug(built.pci!);
  machine.pci.assign();
  driver = new GuestDriver(machine, 1);
}

function start(queues: number): void {
  driver.negotiate(VERSION_1 | (driver.offered & 0xff_ffffn));
  for (let i = 0; i < queues; i++) driver.queue(i, 16, RINGS + 0x1000 * i).enable();
  driver.driverOk();
}

const config = (offset: number, size: 1 | 2 | 4) => driver.read(driver.device!.address + offset, size);

describe('virtio-blk', () => {
  test('reports capacity, block size, topology and limits', () => {
    plug({ queues: 4 });
    expect([config(0, 4), config(4, 4)]).toEqual([131_072, 0]);
    expect(config(12, 4)).toBe(254);
    expect(config(20, 4)).toBe(512);
    expect([config(24, 1), config(26, 2)]).toEqual([3, 8]);
    expect(config(34, 2)).toBe(4);
    expect([config(36, 4), config(40, 4), config(44, 4)]).toEqual([2 ** 21, 1, 8]);
    expect([config(48, 4), config(52, 4), config(56, 1)]).toEqual([2 ** 21, 1, 1]);
    expect(driver.offered & 0xff_ffffn).toBe(
      FEATURE.flush | FEATURE.configWce | FEATURE.multiqueue | FEATURE.discard | FEATURE.writeZeroes | 0x444n,
    );
  });

  test('a capacity beyond 2 TiB uses both halves', () => {
    backend.size = 3 * 2 ** 40;
    plug();
    expect([config(0, 4), config(4, 4)]).toEqual([0x8000_0000, 1]);
  });

  test('a read-only disk offers no write features', () => {
    Object.assign(backend, { readonly: true });
    plug({ readonly: true });
    const writes = FEATURE.configWce | FEATURE.discard | FEATURE.writeZeroes;
    expect(driver.offered & (FEATURE.readonly | writes)).toBe(FEATURE.readonly);
    expect([config(36, 4), config(48, 4)]).toEqual([0, 0]);
  });

  test('the config space is read-only except for the cache mode', () => {
    plug();
    driver.negotiate(VERSION_1 | (driver.offered & 0xff_ffffn));
    const before = Array.from({ length: 60 }, (_, offset) => config(offset, 1));
    for (let offset = 0; offset < 60; offset += 4) {
      driver.write(driver.device!.address + offset, 4, 0xffff_ffff);
      if (offset !== WRITEBACK) driver.write(driver.device!.address + offset, 1, 0xff);
      driver.write(driver.device!.address + offset + 2, 2, 0xffff);
    }
    expect(Array.from({ length: 60 }, (_, offset) => config(offset, 1))).toEqual(before);
    driver.write(driver.device!.address + WRITEBACK, 1, 0);
    expect(config(WRITEBACK, 1)).toBe(0);
  });

  describe('the cache mode', () => {
    const write = (value: number) => driver.write(driver.device!.address + WRITEBACK, 1, value);

    test('can be changed by a driver with CONFIG_WCE, even while its queues run', () => {
      plug();
      start(1);
      expect([config(WRITEBACK, 1), backend.writeThrough]).toEqual([1, false]);
      write(0);
      expect([config(WRITEBACK, 1), backend.writeThrough]).toEqual([0, true]);
      write(0x80);
      expect([config(WRITEBACK, 1), backend.writeThrough]).toEqual([1, false]);
      write(0);
      driver.status = 0;
      expect(config(WRITEBACK, 1)).toBe(1);
    });

    test.each([
      ['with FLUSH alone', FEATURE.flush, 1, false],
      ['with neither FLUSH nor CONFIG_WCE', 0n, 1, true],
      // §5.2.5.2
      ['with CONFIG_WCE alone', FEATURE.configWce, 0, true],
    ])('of a driver %s', (_what, features, writeback, writeThrough) => {
      plug();
      driver.negotiate(VERSION_1 | features);
      expect([config(WRITEBACK, 1), backend.writeThrough]).toEqual([writeback, writeThrough]);
      if (features & FEATURE.configWce) return;
      write(0);
      write(1);
      expect([config(WRITEBACK, 1), backend.writeThrough]).toEqual([writeback, writeThrough]);
    });

    test('is part of the saved state', () => {
      plug();
      start(1);
      write(0);
      built.device.quiesce!(() => {});
      const state = structuredClone(built.device.save());
      backend = new FakeBlockBackend();
      machine = new FakeMachine();
      plug();
      built.device.load(state);
      expect(backend.writeThrough).toBe(true);
      expect((built.device.save().device as DeviceState).writeback).toBe(false);
    });
  });

  test('notifies its driver of a new size', () => {
    plug();
    start(1);
    const generation = driver.read(driver.common.address + COMMON.generation, 1);
    built.capabilities!.disk!.resize(3 * 2 ** 40);
    expect(backend.size).toBe(3 * 2 ** 40);
    expect([config(0, 4), config(4, 4)]).toEqual([0x8000_0000, 1]);
    expect(driver.read(driver.common.address + COMMON.generation, 1)).toBe(generation + 1);
    expect(driver.read(driver.isr.address, 1)).toBe(2);
    expect(built.facts).toContainEqual({ label: 'size', value: 3 * 2 ** 40, unit: 'bytes' });
  });

  test('keeps a new size for its next driver', () => {
    plug();
    built.capabilities!.disk!.resize(2 ** 20);
    expect(driver.read(driver.isr.address, 1)).toBe(0);
    driver.status = 0;
    expect(config(0, 4)).toBe(2048);
  });

  test('has the limits of its options until they are changed', () => {
    plug({ limits: { iops: 100, 'iops-burst': 500, bps: 2 ** 20 } });
    expect(backend.limits).toEqual({ iops: 100, 'iops-burst': 500, bps: 2 ** 20 });
    const text = () => built.facts!.find(({ label }) => label === 'limits')!.value;
    expect(text()).toBe('100 requests/s in bursts of 500, 1M/s');
    built.capabilities!.disk!.setLimits({});
    expect(backend.limits).toEqual({});
    expect(text()).toBe('none');
  });

  test('keeps changed limits in its state', () => {
    plug({ limits: { iops: 100 } });
    built.capabilities!.disk!.setLimits({ bps: 1000, 'bps-burst': 5000 });
    built.device.quiesce!(() => {});
    const state = structuredClone(built.device.save());
    machine = new FakeMachine();
    backend = new FakeBlockBackend();
    plug({ limits: { iops: 100 } });
    built.device.load(state);
    expect(backend.limits).toEqual({ bps: 1000, 'bps-burst': 5000 });
    for (const limits of [{ bps: 0 }, { bps: 1.5 }, { bps: 10, 'bps-burst': 5 }, { 'iops-burst': 5 }, null]) {
      (state.device as DeviceState).limits = limits;
      expect(() => built.device.load(state)).toThrow('saved device state');
    }
  });

  test.each([
    [{ iops: 0 }, 'at least 1 per second'],
    [{ 'iops-burst': 5 }, 'a burst needs a limit: give iops, too'],
    [{ bps: 100, 'bps-burst': 99 }, 'a burst of less than bps: give at least as much'],
    [{ ops: 5 }, 'ops'],
  ])('rejects limits %j', (limits, reason) => {
    expect(() => plug({ limits })).toThrow(reason);
  });

  test('hands each enabled queue to the backend, with the serial and what was negotiated', () => {
    plug({ queues: 2, serial: 'DISK-1' });
    start(2);
    expect([...backend.running.keys()]).toEqual([0, 1]);
    const { queue, options } = backend.running.get(1)!;
    expect(queue).toMatchObject({ index: 1, size: 16, descriptors: RINGS + 0x1000, counters: { slot: 1 } });
    expect(options.serial).toBe('DISK-1');
    expect(options.features & FEATURE.flush).toBe(FEATURE.flush);
    // The limits that the config space reports.
    expect(options.limits).toEqual({
      segments: config(12, 4),
      ranges: config(40, 4),
      rangeSectors: config(36, 4),
    });
    expect(options.limits).toMatchObject({ ranges: config(52, 4), rangeSectors: config(48, 4) });
    driver.status = 0;
    expect(backend.running.size).toBe(0);
  });

  test('a broken ring stops all queues until a reset', () => {
    plug({ queues: 2 });
    start(2);
    backend.running.get(0)!.options.onBroken('descriptor 99 in a table of 16');
    expect(backend.running.size).toBe(0);
    expect(driver.status & STATUS.needsReset).toBe(STATUS.needsReset);
    expect(machine.broken).toEqual(['blk0: descriptor 99 in a table of 16']);
    start(2);
    expect(backend.running.size).toBe(2);
  });

  test('a queue that cannot be started stops the others', () => {
    plug({ queues: 3 });
    backend.refuse = 1;
    start(3);
    expect(backend.running.size).toBe(0);
    expect(driver.status & STATUS.needsReset).toBe(STATUS.needsReset);
  });

  test('continues where its queues stopped after a pause', () => {
    plug();
    start(1);
    backend.progress = { lastAvail: 12, usedIndex: 11, unfinished: [5] };
    built.device.quiesce!(() => {});
    expect(backend.running.size).toBe(0);
    built.device.resume!();
    expect(backend.running.get(0)!.queue.progress).toEqual({
      lastAvail: 12,
      usedIndex: 11,
      unfinished: [5],
    });
    driver.status = 0;
    expect(backend.running.size).toBe(0);
  });

  test('is reset only when the host has completed its requests', () => {
    plug();
    start(1);
    backend.hangs = true;
    driver.status = 0;
    expect(driver.status).not.toBe(0);
    expect(config(0, 4)).toBe(131_072);
    backend.release();
    expect(driver.status).toBe(0);
    start(1);
    expect(backend.running.size).toBe(1);
    expect(machine.broken).toEqual([]);
  });

  test('ends with its machine even if the host does not complete a request', () => {
    plug();
    start(1);
    backend.hangs = true;
    driver.status = 0;
    built.device.close!();
    expect(backend.abandoned).toEqual([0]);
    expect(backend.closed).toBe(true);
  });

  test('a saved machine’s disk must have the same size', () => {
    plug();
    start(1);
    built.device.quiesce!(() => {});
    const state = built.device.save();
    backend.size *= 2;
    expect(() => built.device.load(state)).toThrow('disk of blk0 has 134217728 bytes');
  });

  test('stops its queues before it closes its disk with the machine', () => {
    plug();
    start(1);
    built.device.close!();
    expect(backend.closed).toBe(true);
    expect(backend.running.size).toBe(0);
  });
});
