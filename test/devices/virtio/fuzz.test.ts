import { describe, expect, test } from 'vitest';
import type { AccessSize, Device } from '../../../src/devices/device.ts';
import { deviceConfig } from '../../../src/devices/device-config.ts';
import { deviceTable } from '../../../src/devices/registry.ts';
import { FakeBlockBackend } from '../../support/fake-block-backend.ts';
import { FakeMachine } from '../../support/fake-machine.ts';
import { FakeMemory } from '../../support/fake-memory.ts';
import { Random } from '../../support/random.ts';
import { COMMON, GuestDriver, VERSION_1 } from './guest-driver.ts';

const ECAM = 0xe000_0000;
const RAM = 0x4_0000;
const SIZES: readonly AccessSize[] = [1, 2, 4];

/** A machine with one device of each kind, and garbage in its RAM. */
function hostileMachine(random: Random): { machine: FakeMachine; devices: readonly Device[] } {
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
  return { machine, devices };
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

/** Resets the machine and reads 64 bytes from its virtio-rng, like the next driver. @returns how many arrived */
function bytesOfNextDriver(machine: FakeMachine, devices: readonly Device[]): number {
  for (const device of devices) {
    device.quiesce?.(() => {});
    device.reset();
    device.resume?.();
  }
  machine.pci.reset();
  const driver = new GuestDriver(machine, 2);
  driver.negotiate(VERSION_1);
  const [ring, buffer] = [0x1000, 0x2000];
  for (let at = ring; at < buffer + 64; at += 4) machine.memory.writeU32(at, 0);
  const queue = driver.queue(0, 8, ring);
  queue.enable();
  driver.driverOk();
  queue.add({ address: buffer, length: 64, write: true });
  queue.kick();
  machine.eventFds.settle();
  return queue.collect()[0]?.written ?? 0;
}

describe('a guest that writes garbage', () => {
  test.each([1, 2, 3, 4, 5, 6])('to configuration space and every BAR (seed %i) harms nobody', seed => {
    const random = new Random(seed);
    const { machine, devices } = hostileMachine(random);
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
      if (random.below(64) === 0) machine.eventFds.turn();
      if (random.below(512) === 0) machine.pci.assign();
    }
    machine.eventFds.settle();
    expect(machine.broken.filter(line => !/^virtio-(blk|rng): /.test(line))).toEqual([]);
    expect(bytesOfNextDriver(machine, devices)).toBe(64);
  });

  test.each([1, 2, 3, 4, 5, 6])('to a negotiated device’s queues (seed %i) breaks that device only', seed => {
    const random = new Random(seed);
    const { machine } = hostileMachine(random);
    const driver = new GuestDriver(machine, 2);
    let served = 0;
    for (let round = 0; round < 500; round++) {
      const offered = driver.offered;
      driver.negotiate(VERSION_1 | (random.below(2) === 0 ? offered : 0n));
      const queue = driver.queue(0, 2 ** random.below(7), 0x1000);
      queue.enable();
      machine.memory.writeU16(queue.available + 2, random.below(3));
      for (let i = 0; i < 8; i++) {
        const address = random.below(8) === 0 ? random.u32() : random.below(RAM);
        queue.describe(
          i,
          address,
          random.below(0x100),
          random.below(4) === 0 ? random.below(8) : 2,
          random.below(8),
        );
      }
      machine.memory.writeU16(queue.available + 4, random.below(8));
      driver.driverOk();
      queue.kick();
      machine.eventFds.settle();
      served += queue.collect().length % 0x100;
      if (random.below(2) === 0)
        driver.write(driver.common.address + random.below(COMMON.used), 4, random.u32());
    }
    expect(served).toBeGreaterThan(0);
    expect(machine.broken.length).toBeGreaterThan(0);
    expect(machine.broken.every(line => line.startsWith('virtio-rng: '))).toBe(true);
  });
});
