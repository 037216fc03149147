import { beforeEach, describe, expect, test } from 'vitest';
import { deviceTable } from '../../../src/devices/registry.ts';
import { FakeMachine } from '../../support/fake-machine.ts';
import { EVENT_IDX, GuestDriver, INDIRECT, STATUS, VERSION_1 } from './guest-driver.ts';

const RING = 0x1000;
const BUFFER = 0x1_0000;

describe('virtio-rng', () => {
  let machine: FakeMachine;
  let driver: GuestDriver;

  beforeEach(() => {
    machine = new FakeMachine();
    const { pci } = deviceTable.create(machine.services, { type: 'virtio-rng' }, 'rng0');
    machine.pci.plug(pci!);
    machine.pci.assign();
    driver = new GuestDriver(machine, 1);
  });

  function start(features = 0n, size = 8) {
    driver.negotiate(VERSION_1 | features);
    driver.enableMsix(2);
    const queue = driver.queue(0, size, RING);
    queue.enable(1);
    driver.driverOk();
    machine.eventFds.settle();
    return queue;
  }

  test('fills a buffer, reports its length and interrupts', () => {
    const queue = start();
    const head = queue.add({ address: BUFFER, length: 64, write: true });
    queue.kick();
    machine.eventFds.settle();
    expect(queue.collect()).toEqual([{ head, written: 64 }]);
    expect(new Set(machine.memory.readable(BUFFER, 64)).size).toBeGreaterThan(8);
    expect(machine.memory.readable(BUFFER + 64, 64).every(byte => byte === 0)).toBe(true);
    expect(machine.vectors[1]!.sent).toEqual([{ address: 0xfee0_0000n, data: 0x41 }]);
    expect(machine.queueCounters[0]!.counts).toMatchObject({ kicked: 1, taken: 1, returned: 1, bytes: 64 });
  });

  test('walks indirect tables', () => {
    const queue = start(INDIRECT);
    queue.describe(0, BUFFER, 10, 3, 1, 0x8000);
    queue.describe(1, BUFFER + 100, 20, 2, 0, 0x8000);
    queue.describe(3, 0x8000, 32, 4);
    queue.expose(3);
    queue.kick();
    machine.eventFds.settle();
    expect(queue.collect()).toEqual([{ head: 3, written: 30 }]);
  });

  test('serves buffers that were made available before the first kick', () => {
    driver.negotiate(VERSION_1);
    const queue = driver.queue(0, 8, RING);
    queue.enable();
    queue.add({ address: BUFFER, length: 4, write: true });
    driver.driverOk();
    machine.eventFds.settle();
    expect(queue.collect()).toHaveLength(1);
  });

  test('with EVENT_IDX, interrupts once per passed event index and asks for the next kick', () => {
    const queue = start(EVENT_IDX);
    queue.add({ address: BUFFER, length: 4, write: true });
    queue.kick();
    machine.eventFds.settle();
    expect(machine.vectors[1]!.sent).toHaveLength(1);
    expect(machine.memory.readU16(queue.used + 4 + 8 * 8)).toBe(1);

    // The driver needs no interrupt before the used index passes 2.
    machine.memory.writeU16(queue.available + 4 + 2 * 8, 2);
    queue.add({ address: BUFFER, length: 4, write: true });
    queue.kick();
    machine.eventFds.settle();
    expect(machine.vectors[1]!.sent).toHaveLength(1);
    queue.add({ address: BUFFER, length: 4, write: true });
    queue.kick();
    machine.eventFds.settle();
    expect(machine.vectors[1]!.sent).toHaveLength(2);
  });

  test('fills a bounded amount per turn of the event loop, and continues in the next', () => {
    const machineBytes = 512 * 1024;
    const queue = start(0n, 64);
    for (let i = 0; i < 32; i++) queue.add({ address: BUFFER, length: machineBytes, write: true });
    queue.kick();
    machine.eventFds.turn();
    const first = queue.collect();
    expect(first).toEqual([{ head: 0, written: 64 * 1024 }]);
    machine.eventFds.settle();
    expect(queue.collect()).toHaveLength(31);
    expect(machine.queueCounters[0]!.counts).toMatchObject({ kicked: 1, kicksSuppressed: 0 });
  });

  test('counts every kick, and the turns without one', () => {
    const queue = start(EVENT_IDX, 64);
    const { counts } = machine.queueCounters[0]!;
    for (let i = 0; i < 3; i++) {
      queue.add({ address: BUFFER, length: 64 * 1024, write: true });
      queue.kick();
    }
    machine.eventFds.settle();
    expect(counts).toMatchObject({ kicked: 3, kicksSuppressed: 2, batches: 3, taken: 3, returned: 3 });
    queue.add({ address: BUFFER, length: 4, write: true });
    queue.kick();
    machine.eventFds.settle();
    expect(counts).toMatchObject({ kicked: 4, kicksSuppressed: 2, batches: 4 });
  });

  test('without MSI-X, sets the ISR and asserts the pin until the driver reads it', () => {
    driver.negotiate(VERSION_1);
    const queue = driver.queue(0, 8, RING);
    queue.enable();
    driver.driverOk();
    queue.add({ address: BUFFER, length: 4, write: true });
    queue.kick();
    machine.eventFds.settle();
    expect(machine.lines[17]!.level).toBe(true);
    expect(driver.read(driver.isr.address, 1)).toBe(1);
    expect(machine.lines[17]!.level).toBe(false);
    expect(driver.read(driver.isr.address, 1)).toBe(0);
  });

  test.each([
    ['a buffer outside RAM', { address: 0x20_0000, length: 16, write: true }],
    ['a buffer that leaves RAM', { address: 0xf_fff0, length: 17, write: true }],
    ['a length that overflows', { address: 0xf_fff0, length: 0xffff_ffff, write: true }],
    ['no writable buffer', { address: BUFFER, length: 16 }],
  ])('marks itself broken on %s, until a reset', (_what, buffer) => {
    const queue = start();
    queue.add(buffer);
    queue.kick();
    machine.eventFds.settle();
    expect(queue.collect()).toEqual([]);
    expect(driver.status & STATUS.needsReset).toBe(STATUS.needsReset);
    expect(machine.broken).toHaveLength(1);
    queue.kick();
    machine.eventFds.settle();

    machine.memory.writable(RING, 0x1000).fill(0);
    const again = start();
    again.add({ address: BUFFER, length: 16, write: true });
    again.kick();
    machine.eventFds.settle();
    expect(again.collect()).toHaveLength(1);
    expect(driver.status & STATUS.needsReset).toBe(0);
  });

  test('continues after a pause', () => {
    const { device, pci } = deviceTable.create(machine.services, { type: 'virtio-rng' }, 'rng1');
    machine.pci.plug(pci!);
    machine.pci.assign();
    driver = new GuestDriver(machine, 2);
    const queue = start();
    queue.add({ address: BUFFER, length: 4, write: true });
    queue.kick();
    machine.eventFds.settle();
    device.quiesce!(() => {});
    queue.add({ address: BUFFER, length: 4, write: true });
    machine.eventFds.settle();
    expect(queue.collect()).toHaveLength(1);
    device.resume!();
    machine.eventFds.settle();
    expect(queue.collect()).toHaveLength(1);
  });
});
