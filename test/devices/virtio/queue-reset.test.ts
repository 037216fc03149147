import { beforeEach, describe, expect, test } from 'vitest';
import type { FakeMachine } from '../../support/fake-machine.ts';
import { COMMON, type GuestDriver, RING_RESET, STATUS, VERSION_1 } from './guest-driver.ts';
import { Probe, RINGS } from './probe.ts';
import type { ProbeDevice } from './probe-device.ts';

const NO_VECTOR = 0xffff;

let probe: Probe;
let machine: FakeMachine;
let device: ProbeDevice;
let driver: GuestDriver;

beforeEach(() => {
  probe = new Probe(undefined, RING_RESET);
  ({ machine, device, driver } = probe);
});

/** Selects the queue and writes 1 to its reset register. */
function resetQueue(index: number): void {
  driver.set16(COMMON.queueSelect, index);
  driver.set16(COMMON.queueReset, 1);
}

const registers = () => [driver.get16(COMMON.queueReset), driver.get16(COMMON.queueEnable)];

describe('a reset of a single queue', () => {
  test('stops that queue alone and forgets its setup', () => {
    probe.start(VERSION_1 | RING_RESET);
    driver.set16(COMMON.queueSelect, 1);
    driver.set16(COMMON.queueVector, 2);
    resetQueue(1);
    expect(registers()).toEqual([0, 0]);
    expect([...device.running.keys()]).toEqual([0]);
    expect(machine.doorbells.size).toBe(1);
    expect(driver.get16(COMMON.queueSize)).toBe(16);
    expect(driver.get16(COMMON.queueVector)).toBe(NO_VECTOR);
    expect(driver.read(driver.common.address + COMMON.descriptors, 4)).toBe(0);
    expect(driver.status & STATUS.driverOk).toBe(STATUS.driverOk);
  });

  test('lets the driver set it up differently and enable it again', () => {
    probe.start(VERSION_1 | RING_RESET);
    device.progress = [
      { lastAvail: 5, usedIndex: 5 },
      { lastAvail: 7, usedIndex: 7 },
    ];
    resetQueue(1);
    driver.queue(1, 4, RINGS + 0x3000).enable();
    expect(device.queue(1)).toMatchObject({ size: 4, descriptors: RINGS + 0x3000 });
    expect(device.queue(1).progress).toEqual({ lastAvail: 0, usedIndex: 0 });
    expect(registers()).toEqual([0, 1]);
    expect(machine.doorbells.size).toBe(2);
    expect(device.starts).toEqual([1, 2]);
  });

  test('completes when the back end has finished: until then both registers show it', () => {
    probe.start(VERSION_1 | RING_RESET);
    device.hangs = true;
    resetQueue(0);
    expect(registers()).toEqual([1, 1]);
    // Nothing else happens to it in the meantime.
    resetQueue(0);
    driver.set16(COMMON.queueSize, 8);
    driver.set16(COMMON.queueEnable, 1);
    driver.set16(COMMON.queueReset, 0);
    expect(registers()).toEqual([1, 1]);
    expect(driver.get16(COMMON.queueSize)).toBe(64);
    device.release();
    expect(registers()).toEqual([0, 0]);
    expect(device.starts).toEqual([1, 1]);
  });

  test('can be overtaken by a reset of the device', () => {
    probe.start(VERSION_1 | RING_RESET);
    device.hangs = true;
    resetQueue(0);
    driver.status = 0;
    device.stopping.get(1)!();
    expect(driver.status).not.toBe(0);
    device.release();
    expect(driver.status).toBe(0);
  });

  test('can be overtaken by a quiesce, which saves the queue as reset', () => {
    probe.start(VERSION_1 | RING_RESET);
    device.hangs = true;
    resetQueue(0);
    let quiesced = false;
    probe.transport.quiesce(() => {
      quiesced = true;
    });
    device.release();
    expect(quiesced).toBe(true);
    const state = probe.transport.save();
    probe = new Probe(undefined, RING_RESET);
    probe.transport.load(state);
    probe.transport.resume();
    expect([...probe.device.running.keys()]).toEqual([1]);
  });

  test('of a quiesced device needs no back end', () => {
    probe.start(VERSION_1 | RING_RESET);
    probe.transport.quiesce(() => {});
    resetQueue(0);
    expect(registers()).toEqual([0, 0]);
    probe.transport.resume();
    expect([...device.running.keys()]).toEqual([1]);
  });

  test('ignores errors of the old queue', () => {
    probe.start(VERSION_1 | RING_RESET);
    device.hangs = true;
    const { broken } = device.driver(0);
    resetQueue(0);
    broken('bad ring');
    device.release();
    broken('bad ring');
    expect(machine.broken).toEqual([]);
    device.driver(1).broken('bad ring');
    expect(machine.broken).toEqual(['probe0: bad ring']);
  });

  test('a bad setup afterward breaks the device', () => {
    probe.start(VERSION_1 | RING_RESET);
    resetQueue(1);
    driver.queue(1, 16, 0xfee0_0000).enable();
    expect(driver.status & STATUS.needsReset).toBe(STATUS.needsReset);
    expect(device.running.size).toBe(0);
  });

  test('is not possible without RING_RESET, or for a queue that is not enabled', () => {
    probe.start(VERSION_1);
    resetQueue(0);
    expect(registers()).toEqual([0, 1]);
    expect(device.running.size).toBe(2);
    driver.status = 0;
    driver.negotiate(VERSION_1 | RING_RESET);
    resetQueue(1);
    expect(registers()).toEqual([0, 0]);
  });

  test('has no registers in a device that does not offer it', () => {
    const plain = new Probe();
    expect(plain.driver.common.size).toBe(0x38);
    expect(driver.common.size).toBe(0x3c);
  });
});
