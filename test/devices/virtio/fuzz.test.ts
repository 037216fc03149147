import { describe, expect, test } from 'vitest';
import type { AccessSize, Device } from '../../../src/devices/device.ts';
import { deviceConfig } from '../../../src/devices/device-config.ts';
import { deviceTable } from '../../../src/devices/registry.ts';
import { FakeBlockBackend } from '../../support/fake-block-backend.ts';
import { FakeMachine } from '../../support/fake-machine.ts';
import { FakeMemory } from '../../support/fake-memory.ts';
import { Random } from '../../support/random.ts';
import { COMMON, GuestDriver, STATUS, VERSION_1 } from './guest-driver.ts';

const ECAM = 0xe000_0000;
const RAM = 0x4_0000;
const SIZES: readonly AccessSize[] = [1, 2, 4];

/** A machine with one device of each kind, and garbage in its RAM. */
function hostileMachine(random: Random) {
  const machine = new FakeMachine(new FakeMemory(RAM));
  const devices: Device[] = [];
  const disk = new FakeBlockBackend();
  machine.disk = disk;
  for (const type of ['virtio-blk', 'virtio-rng']) {
    const config = deviceConfig.parse(type === 'virtio-blk' ? { type, path: '/disk', queues: 2 } : { type });
    const { device, pci } = deviceTable.create(machine.services, config, type);
    devices.push(device);
    machine.pci.plug(pci!);
  }
  machine.pci.assign();
  for (let at = 0; at < RAM; at += 4) machine.memory.writeU32(at, random.below(4) === 0 ? random.u32() : 0);
  return { machine, devices, disk };
}

/** Prefers values that drivers use. */
function value(random: Random): number {
  return random.pick([
    0,
    1,
    2,
    random.below(16),
    1 << random.below(31),
    0xffff,
    0xffff_ffff,
    random.below(RAM) & ~0xf,
    random.u32(),
  ]);
}

/** Resets the machine, and starts each device with a new driver. @returns how many started */
function nextDriverStarts(machine: FakeMachine, devices: readonly Device[]): number {
  for (const device of devices) {
    device.quiesce?.(() => {});
    device.reset();
    device.resume?.();
  }
  machine.pci.reset();
  machine.pci.assign();
  const started = devices.filter((_, index) => {
    const driver = new GuestDriver(machine, 1 + index);
    driver.negotiate(VERSION_1);
    driver.queue(0, 8, 0x1000).enable();
    driver.driverOk();
    return (driver.status & (STATUS.driverOk | STATUS.needsReset)) === STATUS.driverOk;
  });
  return started.length;
}

/** Errors that devices may report for a guest that sets up its queues badly. */
const REASON = /^virtio-(blk|rng): queue \d: /;

describe('a guest that writes garbage', () => {
  test.each([1, 2, 3, 4, 5, 6])('to configuration space and every BAR (seed %i) does no harm', seed => {
    const random = new Random(seed);
    const { machine, devices, disk } = hostileMachine(random);
    for (let i = 0; i < 15_000; i++) {
      const size = random.pick(SIZES);
      const slot = 1 + random.below(2);
      const bar = machine.memoryBus.read(ECAM + slot * 0x8000 + 0x10, 4) & ~0xf;
      const register = (bar >>> 0) + random.below(7) * 0x1000 + random.below(0x48);
      // Write BAR addresses and the command register less often, because that makes the rest unreachable.
      const config =
        ECAM + slot * 0x8000 + (random.below(8) === 0 ? random.below(0x40) : 0x40 + random.below(0xc0));
      const address = random.below(4) === 0 ? config : register;
      if (random.below(3) === 0) machine.memoryBus.read(address, size);
      else machine.memoryBus.write(address, size, value(random) % 2 ** (8 * size));
      // The host blocks the disk occasionally.
      if (random.below(64) === 0) disk.hangs = !disk.hangs;
      if (random.below(64) === 0) disk.release();
      if (random.below(512) === 0) machine.pci.assign();
    }
    disk.hangs = false;
    disk.release();
    machine.eventFds.settle();
    expect(machine.broken.filter(line => !REASON.test(line))).toEqual([]);
    expect(nextDriverStarts(machine, devices)).toBe(2);
  });

  test.each([1, 2, 3, 4, 5, 6])(
    'as a driver that resets and pauses at any time (seed %i) is eventually served',
    seed => {
      const random = new Random(seed);
      const { machine, devices, disk } = hostileMachine(random);
      const driver = new GuestDriver(machine, 1);
      let quiesced = 0;
      const steps: readonly (() => void)[] = [
        () => {
          driver.status = 0;
        },
        () => void driver.negotiate(VERSION_1 | (random.below(2) === 0 ? driver.offered : 0n)),
        () => driver.queue(random.below(3), 2 ** random.below(9), 0x1000 * random.below(0x40)).enable(),
        () => driver.driverOk(),
        () => {
          driver.set16(COMMON.queueSelect, random.below(3));
          driver.set16(COMMON.queueReset, random.below(2));
        },
        () =>
          devices[0]!.quiesce!(() => {
            quiesced++;
          }),
        () => devices[0]!.resume!(),
        () => {
          disk.hangs = random.below(2) === 0;
        },
        () => disk.release(),
        () => [...disk.running.values()][0]?.options.onBroken('it is garbage'),
      ];
      for (let i = 0; i < 10_000; i++) random.pick(steps)();
      expect(quiesced).toBeGreaterThan(0);
      disk.hangs = false;
      disk.release();
      expect(nextDriverStarts(machine, devices)).toBe(2);
      expect([...disk.running.keys()]).toEqual([0]);
    },
  );
});
