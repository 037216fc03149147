import { beforeEach, describe, expect, test } from 'vitest';
import { NO_OFFLOADS } from '../../../src/devices/backends/net.ts';
import type { Device } from '../../../src/devices/device.ts';
import { deviceConfig } from '../../../src/devices/device-config.ts';
import type { BuiltDevice } from '../../../src/devices/device-type.ts';
import { deviceTable } from '../../../src/devices/registry.ts';
import { NET_FEATURE } from '../../../src/devices/virtio/net-features.ts';
import { FakeMachine } from '../../support/fake-machine.ts';
import { Random } from '../../support/random.ts';
import { COMMON, type DriverQueue, GuestDriver, STATUS, VERSION_1 } from './guest-driver.ts';

const RINGS = 0x1000;
const COMMAND = 0x8000;
const ANSWER = 0xa000;
const OWN = [0x52, 0x54, 0, 1, 2, 3];

let machine: FakeMachine;
let built: BuiltDevice;
let device: Device;
let driver: GuestDriver;

beforeEach(() => {
  machine = new FakeMachine();
});

function plug(options: Readonly<Record<string, unknown>> = {}): void {
  const config = deviceConfig.parse({
    type: 'virtio-net',
    network: { type: 'tap' },
    mac: '52:54:00:01:02:03',
    ...options,
  });
  built = deviceTable.create(machine.services, config, 'net0');
  device = built.device;
  machine.pci.plug(built.pci!);
  machine.pci.assign();
  driver = new GuestDriver(machine, 1);
}

/** Negotiates these features and starts that many queues. */
function start(features: bigint, count = 3): void {
  driver.negotiate(VERSION_1 | features);
  queues = Array.from({ length: count }, (_, index) => driver.queue(index, 16, RINGS + index * 0x1000));
  for (const queue of queues) queue.enable();
  driver.driverOk();
  machine.eventFds.settle();
}

const backend = () => machine.network;

let queues: DriverQueue[] = [];

/** Sends a command through a control queue. @returns the answer; null if there is none */
function command(queue: number, bytes: readonly number[] | Uint8Array): number | null {
  machine.memory.writable(COMMAND, 4096).set(bytes);
  machine.memory.writable(ANSWER, 1)[0] = 0xff;
  queues[queue]!.add({ address: COMMAND, length: bytes.length }, { address: ANSWER, length: 1, write: true });
  queues[queue]!.kick();
  machine.eventFds.settle();
  return queues[queue]!.collect().length === 0 ? null : machine.memory.readable(ANSWER, 1)[0]!;
}

const MQ = NET_FEATURE.ctrlQueue | NET_FEATURE.multiqueue;
const CONTROL =
  NET_FEATURE.ctrlQueue |
  NET_FEATURE.ctrlRx |
  NET_FEATURE.ctrlRxExtra |
  NET_FEATURE.ctrlVlan |
  NET_FEATURE.ctrlMac;
const RSS = [4, 1];
const KEY = Array.from({ length: 40 }, (_, index) => index);

/** A struct virtio_net_rss_config (virtio 1.3 §5.1.6.5.7). */
function rss({
  hashTypes = 3,
  unclassified = 1,
  queues = [0, 1],
  transmitQueues = 1,
  key = KEY,
} = {}): number[] {
  const le16 = (value: number) => [value & 0xff, value >> 8];
  const table = queues.flatMap(le16);
  return [
    ...[hashTypes, 0, 0, 0, ...le16(queues.length - 1), ...le16(unclassified), ...table],
    ...[...le16(transmitQueues), key.length, ...key],
  ];
}

const config = (offset: number, size: 1 | 2 | 4) => driver.read(driver.device!.address + offset, size);

describe('virtio-net', () => {
  test('reports its address, link, queue pairs, MTU and speed', () => {
    plug({ queues: 2, mtu: 9000, speed: 25_000, duplex: 'full' });
    expect([0, 1, 2, 3, 4, 5].map(at => config(at, 1))).toEqual(OWN);
    expect([config(6, 2), config(8, 2), config(10, 2), config(12, 4), config(16, 1)]).toEqual([
      1, 2, 9000, 25_000, 1,
    ]);
    expect(driver.get16(COMMON.numQueues)).toBe(5);
    expect(driver.offered & (NET_FEATURE.mtu | NET_FEATURE.speedDuplex | NET_FEATURE.multiqueue)).toBe(
      NET_FEATURE.mtu | NET_FEATURE.speedDuplex | NET_FEATURE.multiqueue,
    );
  });

  test('offers the features that the network supports and options leave enabled', () => {
    plug();
    const offloads =
      NET_FEATURE.hostTso4 | NET_FEATURE.guestTso6 | NET_FEATURE.hostUso | NET_FEATURE.checksum;
    expect(driver.offered & offloads).toBe(offloads);
    expect(driver.offered & (NET_FEATURE.mtu | NET_FEATURE.multiqueue | NET_FEATURE.speedDuplex)).toBe(0n);
    machine = new FakeMachine();
    plug({ csum: false, 'guest-tso6': false, 'ctrl-vq': false });
    expect(driver.offered & (offloads | NET_FEATURE.ctrlRx | NET_FEATURE.guestAnnounce)).toBe(0n);
    expect(driver.get16(COMMON.numQueues)).toBe(2);
    machine = new FakeMachine();
    backend().gives = NO_OFFLOADS;
    plug({ gso: false });
    const sent = NET_FEATURE.hostTso4 | NET_FEATURE.hostUso;
    const received = NET_FEATURE.guestChecksum | NET_FEATURE.guestTso4 | NET_FEATURE.ctrlGuestOffloads;
    expect(driver.offered & (sent | received | NET_FEATURE.checksum)).toBe(NET_FEATURE.checksum);
  });

  test('passes its queues to the back end in pairs', () => {
    plug({ queues: 2 });
    start(MQ, 5);
    expect(
      [...backend().running.values()].map(({ transmits, options, queue }) => [
        queue.index,
        transmits,
        options.pair,
      ]),
    ).toEqual([
      [0, false, 0],
      [1, true, 0],
      [2, false, 1],
      [3, true, 1],
    ]);
    expect(backend().pairs).toBe(1);
    expect(command(4, [4, 0, 2, 0])).toBe(0);
    expect(backend().pairs).toBe(2);
    expect([command(4, [4, 0, 3, 0]), command(4, [4, 0, 0, 0]), command(4, [4, 0, 2])]).toEqual([1, 1, 1]);
    driver.status = 0;
    expect(backend().pairs).toBe(1);
    expect(backend().running.size).toBe(0);
  });

  test('configures RSS in the back end until the driver sets pairs or resets the device', () => {
    plug({ queues: 4 });
    expect(driver.offered & NET_FEATURE.rss).toBe(NET_FEATURE.rss);
    expect([config(17, 1), config(18, 2), config(20, 4)]).toEqual([40, 128, 0x3f]);
    // Its queues are numbered as those of a driver with multiqueue.
    start(NET_FEATURE.ctrlQueue | NET_FEATURE.rss, 9);
    expect(command(8, [...RSS, ...rss({ queues: [0, 2, 1, 0] })])).toBe(0);
    expect(backend().pairs).toBe(3);
    expect(backend().scaling).toEqual({
      hashTypes: 3,
      key: Uint8Array.from(KEY),
      queues: [0, 2, 1, 0],
      unclassified: 1,
    });
    expect(built.facts).toContainEqual({ label: 'RSS', value: 'set by the guest' });
    // With padding, as Linux sends it.
    expect(command(8, [...RSS, ...rss({ transmitQueues: 4 }), 0])).toBe(0);
    expect(backend().pairs).toBe(4);
    const wrong = [
      rss({ queues: [0, 4] }),
      rss({ queues: [0, 1, 2] }),
      rss({ queues: Array(256).fill(0) }),
      rss({ unclassified: 4 }),
      rss({ transmitQueues: 0 }),
      rss({ transmitQueues: 5 }),
      rss({ hashTypes: 0x40 }),
      rss({ key: Array(41).fill(1) }),
      rss().slice(0, -1),
      rss().slice(0, 9),
      [],
    ];
    expect(wrong.map(bytes => command(8, [...RSS, ...bytes]))).toEqual(wrong.map(() => 1));
    expect(backend().scaling?.queues).toEqual([0, 1]);
    driver.status = 0;
    expect(backend()).toMatchObject({ pairs: 1, scaling: null });
    start(MQ | NET_FEATURE.rss, 9);
    command(8, [...RSS, ...rss()]);
    expect(command(8, [4, 0, 2, 0])).toBe(0);
    expect(backend()).toMatchObject({ pairs: 2, scaling: null });
  });

  test('offers RSS only with several pairs, on a network that supports it', () => {
    plug();
    expect(driver.offered & NET_FEATURE.rss).toBe(0n);
    expect([config(17, 1), config(20, 4)]).toEqual([0, 0]);
    machine = new FakeMachine();
    machine.network.scales = false;
    plug({ queues: 2 });
    expect(driver.offered & NET_FEATURE.rss).toBe(0n);
    start(MQ, 5);
    expect(command(4, [...RSS, ...rss()])).toBe(1);
    machine = new FakeMachine();
    plug({ queues: 2, rss: false });
    expect(driver.offered & NET_FEATURE.rss).toBe(0n);
  });

  test('has its control queue after the first pair if the driver does not negotiate MQ', () => {
    plug({ queues: 2 });
    start(CONTROL, 5);
    expect([...backend().running.keys()]).toEqual([0, 1]);
    expect(command(2, [0, 0, 0])).toBe(0);
    expect(backend().filter?.promiscuous).toBe(false);
    expect(command(4, [0, 0, 0])).toBeNull();
    expect(command(2, [4, 0, 2, 0])).toBe(1);
  });

  test('sets the filters that its driver requests', () => {
    plug();
    start(CONTROL);
    expect(backend().filter).toMatchObject({ promiscuous: true, vlans: [], unicast: [Uint8Array.from(OWN)] });
    const modes = [
      'promiscuous',
      'allMulticast',
      'allUnicast',
      'noMulticast',
      'noUnicast',
      'noBroadcast',
    ] as const;
    for (const [index, mode] of modes.entries()) {
      for (const on of [true, false]) {
        expect(command(2, [0, index, Number(on)])).toBe(0);
        expect(backend().filter?.[mode]).toBe(on);
      }
    }
    const table = [1, 0, 0, 0, 2, 2, 2, 2, 2, 2, 2, 0, 0, 0, 3, 3, 3, 3, 3, 3, 1, 1, 1, 1, 1, 1];
    expect(command(2, [1, 0, ...table])).toBe(0);
    expect(backend().filter?.unicast).toEqual([Uint8Array.from(OWN), new Uint8Array(6).fill(2)]);
    expect(backend().filter?.multicast).toEqual([new Uint8Array(6).fill(3), new Uint8Array(6).fill(1)]);
    expect(command(2, [1, 1, 2, 0, 0, 0, 0, 9])).toBe(0);
    expect([config(0, 1), config(5, 1)]).toEqual([2, 9]);
    expect(backend().filter?.unicast[0]).toEqual(Uint8Array.of(2, 0, 0, 0, 0, 9));
    expect([command(2, [2, 0, 5, 0]), command(2, [2, 0, 0xff, 0xf]), command(2, [2, 1, 5, 0])]).toEqual([
      0, 0, 0,
    ]);
    expect(backend().filter?.vlans).toEqual([4095]);
    // A new driver finds what the first one did.
    start(0n, 2);
    expect(backend().filter).toMatchObject({ promiscuous: true, vlans: null, multicast: [] });
    expect([config(0, 1), config(5, 1)]).toEqual([OWN[0], OWN[5]]);
  });

  test('receives all of a kind if there are too many addresses', () => {
    plug();
    start(CONTROL);
    const count = 300;
    const table = [count & 0xff, count >> 8, 0, 0, ...new Uint8Array(6 * count).fill(2), 0, 0, 0, 0];
    expect(command(2, [1, 0, ...table])).toBe(0);
    expect(backend().filter).toMatchObject({ allUnicast: true, allMulticast: false });
  });

  test('answers unknown, not negotiated or truncated commands with an error', () => {
    plug();
    start(NET_FEATURE.ctrlQueue | NET_FEATURE.ctrlRx);
    const refused = [
      [],
      [0],
      [0, 0],
      [0, 0, 1, 1],
      [0, 2, 1],
      [0, 9, 1],
      [1, 0],
      [1, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0],
      [1, 0, 1, 0, 0, 0, 2, 2, 2, 2, 2, 2],
      [1, 1, 2, 0, 0, 0, 0, 9],
      [2, 0, 5, 0],
      [3, 0],
      [4, 0, 1, 0],
      [5, 0],
      [9, 9],
    ];
    for (const bytes of refused) expect([bytes, command(2, bytes)]).toEqual([bytes, 1]);
    expect(command(2, [0, 0, 1])).toBe(0);
  });

  test('is broken by a command without room for a response', () => {
    plug();
    start(CONTROL);
    queues[2]!.add({ address: COMMAND, length: 3 });
    queues[2]!.kick();
    machine.eventFds.settle();
    expect(driver.status & STATUS.needsReset).toBe(STATUS.needsReset);
    expect(machine.broken).toEqual(['net0: the driver gave no room for the answer to a command']);
  });

  test('passes on which offloads its driver accepts', () => {
    plug();
    const taken = NET_FEATURE.guestChecksum | NET_FEATURE.guestTso4;
    start(NET_FEATURE.ctrlQueue | NET_FEATURE.ctrlGuestOffloads | taken);
    expect(backend().offloads).toEqual({ ...NO_OFFLOADS, checksum: true, tso4: true });
    expect(command(2, [5, 0, 2, 0, 0, 0, 0, 0, 0, 0])).toBe(0);
    expect(backend().offloads).toEqual({ ...NO_OFFLOADS, checksum: true });
    expect(command(2, [5, 0, 2, 1, 0, 0, 0, 0, 0, 0])).toBe(1);
    driver.status = 0;
    expect(backend().offloads).toEqual(NO_OFFLOADS);
  });

  test('notifies its driver when the cable is plugged or unplugged, or its peer is gone', () => {
    plug();
    start(NET_FEATURE.status, 2);
    const generation = () => driver.read(driver.common.address + COMMON.generation, 1);
    const nic = built.capabilities!.nic!;
    nic.setLink(false);
    expect([backend().link, config(6, 2), generation()]).toEqual([false, 0, 1]);
    nic.setLink(true);
    expect([backend().link, config(6, 2), generation()]).toEqual([true, 1, 2]);
    backend().connected = false;
    backend().onConnected!(false);
    expect([config(6, 2), generation()]).toEqual([0, 3]);
    expect(built.facts).toContainEqual({ label: 'link', value: 'down (the other end is gone)' });
    expect(machine.warnings).toEqual([expect.stringMatching(/^net0 has lost its network \(/)]);
  });

  test('asks its driver to announce itself once it continues from a saved state', () => {
    plug();
    start(CONTROL | NET_FEATURE.status | NET_FEATURE.guestAnnounce);
    device.quiesce!(() => {});
    backend().release();
    const state = structuredClone(device.save());
    device.resume!();
    expect(config(6, 2)).toBe(1);
    device.quiesce!(() => {});
    backend().release();
    device.load(state);
    expect(config(6, 2)).toBe(1);
    device.resume!();
    machine.eventFds.settle();
    expect(config(6, 2)).toBe(3);
    expect(command(2, [3, 0])).toBe(0);
    expect(config(6, 2)).toBe(1);
  });

  test('continues from a saved state with the settings of its driver and its user', () => {
    plug({ queues: 2 });
    start(CONTROL | MQ | NET_FEATURE.rss, 5);
    for (const bytes of [
      [0, 0, 0],
      [2, 0, 7, 0],
      [...RSS, ...rss()],
      [1, 1, 2, 0, 0, 0, 0, 9],
    ])
      command(4, bytes);
    const nic = built.capabilities!.nic!;
    nic.setLink(false);
    nic.setLimits({ receive: { pps: 100, 'pps-burst': 200 }, transmit: { bps: 5000 } });
    device.quiesce!(() => {});
    backend().release();
    const state = structuredClone(device.save());
    const before = { ...backend() };
    machine = new FakeMachine();
    plug({ queues: 2 });
    device.quiesce!(() => {});
    device.load(state);
    const { filter, pairs, scaling, link, limits, offloads } = backend();
    expect({ filter, pairs, scaling, link, limits, offloads }).toEqual({
      filter: before.filter,
      pairs: 2,
      scaling: before.scaling,
      link: false,
      limits: { receive: { pps: 100, 'pps-burst': 200 }, transmit: { bps: 5000 } },
      offloads: before.offloads,
    });
    expect(structuredClone(device.save())).toEqual(state);
  });

  test('has the configured number of interrupt vectors, or none', () => {
    plug({ vectors: 2 });
    expect(machine.vectors).toHaveLength(2);
    machine = new FakeMachine();
    plug({ vectors: 0 });
    expect(machine.vectors).toHaveLength(0);
    start(0n, 2);
    expect(backend().running.size).toBe(2);
  });

  test('has a unicast address of its own, and rejects others', () => {
    plug({ mac: undefined });
    expect(config(0, 1)).toBe(0x52);
    for (const mac of ['01:00:00:00:00:00', 'ff:ff:ff:ff:ff:ff', '00:00:00:00:00:00', '52:54:00:1:2:3'])
      expect(() => plug({ mac })).toThrow();
  });

  test('executes a command completely or not at all, whatever its buffers', () => {
    plug({ queues: 2 });
    start(CONTROL | MQ | NET_FEATURE.rss | NET_FEATURE.ctrlGuestOffloads | NET_FEATURE.guestChecksum, 5);
    const random = new Random(7);
    let accepted = 0;
    for (let round = 0; round < 3000; round++) {
      const length = random.pick([3, 4, 8, 10, random.below(24)]);
      const bytes = Uint8Array.from({ length }, () => random.pick([0, 0, 0, 1, 2, random.below(256)]));
      if (length > 1) bytes.set([random.below(7), random.below(3)]);
      if (command(4, bytes) === 0) accepted++;
      const { filter, pairs, scaling, offloads } = backend();
      expect(scaling?.queues.every(queue => queue < pairs) ?? true).toBe(true);
      expect(pairs === 1 || pairs === 2).toBe(true);
      expect(filter!.unicast.every(({ length }) => length === 6)).toBe(true);
      expect({ ...offloads, checksum: false }).toEqual(NO_OFFLOADS);
    }
    expect(accepted).toBeGreaterThan(100);
    expect(driver.status & STATUS.needsReset).toBe(0);
  });
});
