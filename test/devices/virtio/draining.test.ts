import { beforeEach, describe, expect, test } from 'vitest';
import type { DeviceState } from '../../../src/devices/device.ts';
import type { FakeMachine } from '../../support/fake-machine.ts';
import { COMMON, type GuestDriver, STATUS, VERSION_1 } from './guest-driver.ts';
import { Probe, RINGS } from './probe.ts';
import type { ProbeDevice } from './probe-device.ts';

const { acknowledge, driver: DRIVER, driverOk, featuresOk, needsReset } = STATUS;
const RUNNING = acknowledge | DRIVER | featuresOk | driverOk;

let probe: Probe;
let machine: FakeMachine;
let device: ProbeDevice;
let driver: GuestDriver;

/** A device in use whose back end does not complete a request. */
beforeEach(() => {
  probe = new Probe();
  ({ machine, device, driver } = probe);
  probe.start();
  device.hangs = true;
});

/** Quiesces the device. @returns whether it has reported completion */
function quiesce(): { done: boolean } {
  const asked = { done: false };
  probe.transport.quiesce(() => {
    asked.done = true;
  });
  return asked;
}

describe('a reset by the driver', () => {
  test('completes when the back end has finished: until then the status reads as before', () => {
    driver.status = 0;
    expect(driver.status).toBe(RUNNING);
    expect(machine.doorbells.size).toBe(0);
    device.release();
    expect(driver.status).toBe(0);
    expect(driver.get16(COMMON.queueEnable)).toBe(0);
    probe.start();
    expect(driver.status).toBe(RUNNING);
    expect(device.queue(0).progress).toEqual({ lastAvail: 0, usedIndex: 0 });
  });

  test('waits once for all queues together, briefly enough for drivers that do not wait', () => {
    driver.status = 0;
    const waits = device.waits.filter(wait => wait > 0);
    expect(waits.length).toBeGreaterThan(0);
    expect(Math.max(...waits)).toBeLessThanOrEqual(10);
    device.waits.length = 0;
    driver.status = 0;
    expect(driver.status).toBe(RUNNING);
    expect(device.waits).toEqual([]);
  });

  test('does not complete with the first of its queues', () => {
    driver.status = 0;
    device.stopping.get(1)!();
    expect(driver.status).toBe(RUNNING);
    device.stopping.get(0)!();
    expect(driver.status).toBe(0);
  });

  test('keeps the driver from setting the device up before it completes', () => {
    driver.status = 0;
    driver.status = acknowledge;
    driver.status = acknowledge | DRIVER;
    driver.accept(VERSION_1 | 0b100n);
    driver.set16(COMMON.queueSelect, 0);
    driver.set16(COMMON.queueSize, 8);
    driver.set16(COMMON.configVector, 1);
    driver.set64(COMMON.descriptors, 0x8000);
    driver.set16(COMMON.queueEnable, 1);
    driver.write(driver.device!.address, 1, 7);
    driver.driverOk();
    expect(driver.status).toBe(RUNNING);
    device.release();
    expect(driver.status).toBe(0);
    expect(device.starts).toEqual([1, 1]);
    expect(device.config[0]).toBe(0);
    expect(driver.get16(COMMON.configVector)).toBe(0xffff);
    expect(driver.read(driver.common.address + COMMON.descriptors, 4)).toBe(0);
  });

  test('lets the driver read everything in the meantime', () => {
    device.config[3] = 9;
    driver.status = 0;
    expect(driver.read(driver.device!.address + 3, 1)).toBe(9);
    driver.set16(COMMON.queueSelect, 1);
    expect(driver.get16(COMMON.queueSize)).toBe(8);
    expect(driver.get16(COMMON.queueEnable)).toBe(1);
  });

  test('ignores errors of the old queues', () => {
    const { broken } = device.driver(0);
    driver.status = 0;
    broken('its thread died');
    device.release();
    broken('its thread died');
    expect(driver.status).toBe(0);
    expect(machine.broken).toEqual([]);
    expect(machine.lines[17]!.level).toBe(false);
  });

  test('of a broken device waits, too', () => {
    device.driver(0).broken('bad ring');
    expect(driver.status).toBe(RUNNING | needsReset);
    driver.driverOk();
    expect(driver.status).toBe(RUNNING | needsReset);
    driver.status = 0;
    expect(driver.status).toBe(RUNNING | needsReset);
    device.release();
    expect(driver.status).toBe(0);
  });

  test('sends no config interrupt before or after its end', () => {
    driver.status = 0;
    device.onConfigChanged!();
    expect(machine.lines[17]!.level).toBe(false);
    device.release();
    device.onConfigChanged!();
    expect(machine.lines[17]!.level).toBe(false);
  });
});

describe('a quiesce', () => {
  test('completes when the back end has finished, without blocking', () => {
    device.waits.length = 0;
    const asked = quiesce();
    expect(asked.done).toBe(false);
    expect(device.waits.every(wait => wait === 0)).toBe(true);
    device.release();
    expect(asked.done).toBe(true);
    expect(device.running.size).toBe(0);
    expect(driver.status).toBe(RUNNING);
  });

  test('keeps the state from being saved, loaded or reset before', () => {
    const drained = quiesce();
    const refused = /probe0 cannot be .* while it uses its queues/;
    expect(() => probe.transport.save()).toThrow(refused);
    expect(() => probe.transport.reset()).toThrow(refused);
    device.release();
    expect(drained.done).toBe(true);
    const state = probe.transport.save();
    device.hangs = false;
    probe.transport.resume();
    expect(() => probe.transport.load(state)).toThrow(refused);
    quiesce();
    probe.transport.load(state);
    probe.transport.reset();
    expect((probe.transport.save().lifecycle as DeviceState).status).toBe(0);
  });

  test('that a resume overtakes never completes: its queues continue once they have stopped', () => {
    const asked = quiesce();
    probe.transport.resume();
    expect(device.starts).toEqual([1, 1]);
    device.progress = [
      { lastAvail: 7, usedIndex: 5, unfinished: [3, 1] },
      { lastAvail: 2, usedIndex: 2 },
    ];
    device.stopping.get(0)!();
    expect(device.starts).toEqual([2, 1]);
    expect(device.queue(0).progress).toEqual(device.progress[0]);
    device.release();
    expect(device.starts).toEqual([2, 2]);
    expect(asked.done).toBe(false);
  });

  test('requested twice completes twice', () => {
    const asked = [quiesce(), quiesce()];
    device.release();
    expect(asked.map(({ done }) => done)).toEqual([true, true]);
  });

  test('of a device that is being reset completes after the reset', () => {
    driver.status = 0;
    let status = -1;
    probe.transport.quiesce(() => {
      status = driver.status;
    });
    expect(status).toBe(-1);
    device.release();
    expect(status).toBe(0);
    expect(() => probe.transport.save()).not.toThrow();
  });

  test('during which the driver resets the device completes after the reset', () => {
    const asked = quiesce();
    driver.status = 0;
    expect(driver.status).toBe(RUNNING);
    device.release();
    expect(asked.done).toBe(true);
    expect(driver.status).toBe(0);
  });

  test('keeps a device stopped that its driver starts in the meantime', () => {
    quiesce();
    device.release();
    probe.start();
    expect(driver.status).toBe(RUNNING);
    expect(device.running.size).toBe(0);
    probe.transport.resume();
    expect(device.running.size).toBe(2);
  });

  test('reports errors while the device drains', () => {
    const { broken } = device.driver(0);
    const asked = quiesce();
    broken('its thread died');
    device.release();
    expect(asked.done).toBe(true);
    expect(driver.status).toBe(RUNNING | needsReset);
    expect(machine.broken).toEqual(['probe0: its thread died']);
    probe.transport.resume();
    expect(device.running.size).toBe(0);
  });

  test('keeps the doorbells: kicks are handled when the queue continues', () => {
    quiesce();
    device.release();
    expect(machine.doorbells.size).toBe(2);
  });
});

test('the end of the machine does not wait for requests that the host blocks', () => {
  driver.status = 0;
  device.waits.length = 0;
  probe.transport.close();
  expect(device.abandoned).toBe(2);
  expect(machine.doorbells.size).toBe(0);
  expect(Math.max(...device.waits)).toBeLessThanOrEqual(1000);
  expect([...machine.eventFds.counts.keys()]).toEqual([]);
});

test('a queue that cannot be started while others drain breaks the device once', () => {
  quiesce();
  probe.transport.resume();
  device.refusal = 'no thread';
  device.release();
  expect(machine.broken).toEqual(['probe0: no thread']);
  expect(driver.status & needsReset).toBe(needsReset);
  device.refusal = null;
  device.hangs = false;
  driver.status = 0;
  expect(driver.status).toBe(0);
  driver.negotiate(VERSION_1);
  driver.queue(0, 64, RINGS).enable();
  driver.driverOk();
  expect([...device.running.keys()]).toEqual([0]);
});
