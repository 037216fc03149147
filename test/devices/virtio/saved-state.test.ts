import { beforeEach, describe, expect, test } from 'vitest';
import type { DeviceState, StateValue } from '../../../src/devices/device.ts';
import type { FakeMachine } from '../../support/fake-machine.ts';
import { COMMON, EVENT_IDX, type GuestDriver, STATUS, VERSION_1 } from './guest-driver.ts';
import { Probe } from './probe.ts';
import type { ProbeDevice } from './probe-device.ts';

const { driverOk } = STATUS;

let probe: Probe;
let machine: FakeMachine;
let device: ProbeDevice;
let driver: GuestDriver;

beforeEach(() => {
  probe = new Probe();
  ({ machine, device, driver } = probe);
});

describe('pause and saved state', () => {
  test('a resumed device continues where its queues stopped', () => {
    probe.start();
    device.progress = [
      { lastAvail: 7, usedIndex: 5 },
      { lastAvail: 0xffff, usedIndex: 0xfffe },
    ];
    probe.transport.quiesce(() => {});
    expect(device.running.size).toBe(0);
    expect(driver.status & driverOk).toBe(driverOk);
    probe.transport.resume();
    expect([...device.running.values()].map(({ queue }) => queue.progress)).toEqual(device.progress);
  });

  test('pausing and resuming an idle or broken device does nothing', () => {
    probe.transport.quiesce(() => {});
    probe.transport.resume();
    probe.start();
    device.driver(0).broken('bad ring');
    probe.transport.quiesce(() => {});
    probe.transport.resume();
    expect(device.starts[0]).toBe(1);
  });

  test('a device loaded from a saved state looks the same to its driver', () => {
    probe.start(VERSION_1 | EVENT_IDX);
    driver.enableMsix(3);
    driver.set16(COMMON.configVector, 2);
    driver.set16(COMMON.queueSelect, 1);
    driver.set16(COMMON.queueVector, 1);
    driver.write(driver.device!.address, 4, 0x1234_5678);
    driver.write(driver.table + 12, 4, 1);
    driver.set16(COMMON.queueSelect, 0);
    driver.set16(COMMON.queueVector, 0);
    machine.eventFds.signal(device.queue(0).callFd);
    driver.set16(COMMON.queueSelect, 1);
    device.progress = [
      { lastAvail: 3, usedIndex: 3 },
      { lastAvail: 9, usedIndex: 7, unfinished: [3, 1] },
    ];
    probe.transport.quiesce(() => {});
    const state = structuredClone(probe.transport.save());
    const seen = snapshot();

    probe = new Probe();
    ({ machine, device, driver } = probe);
    probe.transport.load(state);
    expect(snapshot()).toEqual(seen);
    expect(device.running.size).toBe(0);
    probe.transport.resume();
    expect(device.agreed).toBe(VERSION_1 | EVENT_IDX);
    expect(device.queue(1).progress).toEqual({
      lastAvail: 9,
      usedIndex: 7,
      unfinished: [3, 1],
    });
    expect(machine.doorbells.size).toBe(2);
    expect(machine.vectors[0]!.sent).toEqual([]);
    driver.write(driver.table + 12, 4, 0);
    expect(machine.vectors[0]!.sent).toEqual([{ address: 0xfee0_0000n, data: 0x40 }]);
  });

  test.each<[string, (state: DeviceState) => void]>([
    ['features that are not offered', state => put(state, 'lifecycle', 'accepted', 1n << 50n)],
    ['a queue outside RAM', state => put(queueOf(state), 'used', 0xfee0_0000)],
    ['a progress that is no index', state => put(queueOf(state), 'lastAvail', 70_000)],
    ['unfinished chains that were not taken', state => put(queueOf(state), 'unfinished', heads(0))],
    ['half an unfinished chain', state => put(queueOf(state), 'unfinished', new Uint8Array(1))],
    [
      'an unfinished chain outside the queue',
      state => {
        put(queueOf(state), 'lastAvail', 1);
        put(queueOf(state), 'unfinished', heads(256));
      },
    ],
    ['another number of queues', state => put(state, 'lifecycle', 'queues', [])],
    ['another number of vectors', state => put(state, 'msix', 'table', new Uint8Array(16))],
    ['no interrupts', state => put(state, 'interrupts', null)],
  ])('a state with %s is rejected', (_what, damage) => {
    probe.start();
    probe.transport.quiesce(() => {});
    const state = structuredClone(probe.transport.save());
    damage(state);
    expect(() => probe.transport.load(state)).toThrow();
  });

  /** Everything that a driver can read without changing it. */
  function snapshot(): number[] {
    const bytes: number[] = [];
    for (let offset = 0; offset < 0x100; offset++) bytes.push(driver.read(driver.config + offset, 1));
    for (let offset = 0; offset < 0x38; offset++) bytes.push(driver.read(driver.common.address + offset, 1));
    for (let offset = 0; offset < 48; offset++) bytes.push(driver.read(driver.table + offset, 1));
    for (let offset = 0; offset < 10; offset++) bytes.push(driver.read(driver.device!.address + offset, 1));
    bytes.push(driver.read(driver.pending, 4));
    return bytes;
  }
});

/** Sets the value at a path of keys. */
function put(state: DeviceState, ...path: [...string[], StateValue]): void {
  const value = path.pop() as StateValue;
  const key = path.pop() as string;
  for (const step of path as string[]) state = state[step] as DeviceState;
  state[key] = value;
}

function queueOf(state: DeviceState): DeviceState {
  return ((state.lifecycle as DeviceState).queues as DeviceState[])[0]!;
}

/** Heads of unfinished chains, as a queue saves them. */
function heads(...descriptors: number[]): Uint8Array {
  return new Uint8Array(Uint16Array.from(descriptors).buffer);
}
