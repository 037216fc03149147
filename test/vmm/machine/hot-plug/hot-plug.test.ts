import { beforeEach, describe, expect, test } from 'vitest';
import { deviceConfig } from '../../../../src/devices/device-config.ts';
import { deviceTable } from '../../../../src/devices/registry.ts';
import type { HostFiles } from '../../../../src/vmm/machine/host-files.ts';
import { HotPlug } from '../../../../src/vmm/machine/hot-plug/hot-plug.ts';
import type { Machine } from '../../../../src/vmm/machine/life-cycle.ts';
import type { PluggedIn } from '../../../../src/vmm/machine/messages.ts';
import { GPE, PORT } from '../../../../src/vmm/memory/layout.ts';
import type { GivenDevice } from '../../../../src/vmm/vfio/given-devices.ts';
import { PciehpDriver } from '../../../devices/pci/pciehp-driver.ts';
import { FakeBlockBackend } from '../../../support/fake-block-backend.ts';
import { FakeMachine } from '../../../support/fake-machine.ts';
import { ConfigOf } from '../../../support/pci-device.ts';

let fake: FakeMachine;
let hotPlug: HotPlug;
let happened: string[];
let changes: number;
let plugged: string[];
/** Why devices may be neither plugged nor unplugged. */
let busy: string | null;
/** Memory has been mapped for the host devices of a device. */
let mapped: (failure: Error | null) => void;
/** Addresses of host devices that no model has opened. */
let released: string[];

beforeEach(() => {
  fake = new FakeMachine();
  fake.disk = new FakeBlockBackend();
  [happened, plugged, released, changes, busy] = [[], [], [], 0, null];
  fake.chipset.pci.assign();
  begin();
});

/** The devices and root ports that are there now are those of the start. */
function begin(): void {
  const { chipset, services, clock } = fake;
  const hostDevices = {
    give: () => {},
    release: (addresses: readonly string[]) => released.push(...addresses),
    prepare: (_: readonly string[], done: typeof mapped) => {
      mapped = done;
    },
  };
  const parts = { chipset, services, clock, hostDevices, table: deviceTable };
  const machine = {
    parts,
    plugged: ({ name }: { name: string }) => plugged.push(`+${name}`),
    unplugged: ({ name }: { name: string }) => plugged.push(`-${name}`),
  } as unknown as Machine;
  hotPlug = new HotPlug({
    machine,
    files: { give: () => () => {} } as unknown as HostFiles,
    deviceModules: [],
    busy: () => busy,
    changed: () => changes++,
    happened: (_, text) => happened.push(text),
  });
}

function plug(name: string, options: object = {}): PluggedIn {
  const config = deviceConfig.parse({ type: 'virtio-rng', ...options });
  let result: PluggedIn | Error | undefined;
  hotPlug.plug({ config, name }, { disk: null, hostDevices: [] }, outcome => {
    result = outcome;
  });
  if (result instanceof Error) throw result;
  return result!;
}

function rng(name: string) {
  return deviceTable.create(fake.services, deviceConfig.parse({ type: 'virtio-rng' }), name);
}

function unplug(name: string, force = false): { result: string | null | undefined } {
  const waiting: { result: string | null | undefined } = { result: undefined };
  hotPlug.unplug(name, force, error => {
    waiting.result = error;
  });
  return waiting;
}

const names = () => fake.chipset.devices.map(({ device }) => device.name);
const label = (name: string) => hotPlug.labels.find(each => each.name === name);
const read = (register: number) => fake.ports.read(PORT.pciHotplug + register, 4);
const eject = (slot: number) => fake.ports.write(PORT.pciHotplug + 8, 4, 2 ** slot);
const enableEvent = () => fake.ports.write(PORT.gpe0 + 2, 2, 1 << GPE.pciHotplug);
/** The wire of the system control interrupt. */
const sci = () => fake.lines[9]!.level;

/** The resources in use by the machine. */
function holdings() {
  return {
    fds: fake.eventFds.counts.size,
    watched: fake.eventFds.watched,
    vectors: fake.eventFds.vectors.filter(({ released }) => !released).length,
    queues: fake.queueCounters.filter(({ released }) => !released).length,
    regions: fake.regions.length,
    devices: names().length,
  };
}

describe('a device that is plugged in', () => {
  test('is announced to a guest that has enabled the event', () => {
    expect(plug('rng1')).toEqual({ bus: 'pci.0', addr: '01.0', noticed: false });
    enableEvent();
    expect(sci()).toBe(true);
    expect([read(0), read(0)]).toEqual([2, 0]);
    fake.ports.write(PORT.gpe0, 2, 1 << GPE.pciHotplug);
    expect(sci()).toBe(false);
    expect(plug('rng2')).toEqual({ bus: 'pci.0', addr: '02.0', noticed: true });
    expect(plugged).toEqual(['+rng1', '+rng2']);
    expect(changes).toBe(2);
  });

  test('waits while a snapshot is taken, even one that began while memory was mapped for it', () => {
    const before = holdings();
    busy = 'a snapshot is being taken: try again';
    expect(() => plug('rng1')).toThrow(busy);
    busy = null;
    const config = deviceConfig.parse({ type: 'virtio-rng' });
    const given = { address: '0000:01:10.0' } as GivenDevice;
    const outcomes: unknown[] = [];
    const begun = () =>
      hotPlug.plug({ config, name: 'rng1' }, { disk: null, hostDevices: [given] }, outcome =>
        outcomes.push(outcome),
      );
    begun();
    expect([outcomes, released]).toEqual([[], []]);
    busy = 'a snapshot is being taken: try again';
    mapped(null);
    expect(outcomes).toEqual([new Error(busy)]);
    expect([holdings(), released]).toEqual([before, ['0000:01:10.0']]);
    busy = null;
    begun();
    // A manager that connects in the meantime must know.
    expect(hotPlug.pluggingIn).toEqual(['rng1']);
    mapped(null);
    expect(hotPlug.pluggingIn).toEqual([]);
    expect(outcomes[1]).toMatchObject({ bus: 'pci.0' });
    expect(names()).toContain('rng1');
    busy = 'a snapshot is being taken: try again';
    expect(() => unplug('rng1', true)).toThrow(busy);
    expect(names()).toContain('rng1');
  });

  test('goes to the slot that its options say', () => {
    expect(plug('rng1', { addr: '1f' })).toMatchObject({ addr: '1f.0' });
    expect(() => plug('rng2', { addr: '1f' })).toThrow(
      'addr: "rng1" is at this address of pci.0: choose another',
    );
    expect(() => plug('rng2', { bus: 'nowhere' })).toThrow('bus: there is no bus "nowhere"');
    expect(() => plug('rng2', { bus: 'isa.0' })).toThrow('isa.0 is a bus for isa devices');
  });

  test('is announced with all its functions, 0 last', () => {
    enableEvent();
    expect(plug('fn1', { addr: '05.1' }).noticed).toBe(false);
    expect(read(0)).toBe(0);
    expect(plug('fn0', { addr: '05.0' }).noticed).toBe(true);
    expect(read(0)).toBe(2 ** 5);
    expect(() => plug('fn2', { addr: '05.2' })).toThrow('"fn0" is at this address');
    const waiting = unplug('fn1');
    eject(5);
    expect([waiting.result, names().includes('fn0')]).toEqual([null, false]);
  });

  test('goes to a root port with a guest driver before any slot', () => {
    const { pci } = fake.chipset;
    pci.addRootPort({ slot: 24, function: 0 });
    fake.chipset.attach({ type: deviceTable.rowOf({ type: 'virtio-rng' }), built: rng('rng0') });
    pci.assign();
    begin();
    expect(plug('rng1').bus).toBe('pci.0');
    const driver = new PciehpDriver(new ConfigOf(fake, 0, 24), null);
    expect(plug('rng2')).toEqual({ bus: 'root-port.1', addr: '00.0', noticed: true });
    driver.interrupts();
    expect([driver.state, label('rng2')!.bus]).toEqual(['on', 'root-port.1']);
    expect(() => plug('rng3', { bus: 'root-port.1' })).toThrow('root-port.1 has no free slot');
    const waiting = unplug('rng2');
    driver.interrupts();
    expect(waiting.result).toBeUndefined();
    driver.elapse();
    expect([waiting.result, names().includes('rng2')]).toEqual([null, false]);
  });

  test.each([
    ['a name that another device has', { name: 'com1' }, {}, 'a device named "com1" already'],
    ['a type that cannot', { name: 'port0' }, { type: 'root-port' }, 'root-port cannot be plugged in'],
    ['a disk that did not come', { name: 'blk0' }, { type: 'virtio-blk', path: '/disk' }, 'did not reach'],
  ])('leaves nothing behind with %s', (_, { name }, options, message) => {
    fake.chipset.attach(
      ...deviceTable.builtinBeside([]).map(type => ({ type, built: type.create(fake.services) })),
    );
    const before = holdings();
    expect(() => plug(name, options)).toThrow(message);
    expect(holdings()).toEqual(before);
  });

  test('leaves nothing behind when there is no counter for one of its queues', () => {
    const before = holdings();
    const { services } = fake;
    const { allocateQueueCounters } = services;
    Object.assign(services, {
      allocateQueueCounters: () => {
        throw new Error('the machine has more than 8 virtqueues: give it fewer devices');
      },
    });
    expect(() => plug('rng1')).toThrow('more than 8 virtqueues');
    Object.assign(services, { allocateQueueCounters });
    expect(holdings()).toEqual(before);
    plug('rng1');
  });

  test('is rejected when all slots are taken', () => {
    for (let slot = 1; slot < 24; slot++) plug(`rng${slot}`);
    expect(() => plug('rng24')).toThrow('the machine has no free slot for it: unplug a device');
    unplug('rng7', true);
    expect(plug('rng24').addr).toBe('07.0');
  });
});

describe('a device that is to be unplugged', () => {
  beforeEach(() => {
    plug('rng1');
    enableEvent();
    read(0);
  });

  test('is unplugged when the guest ejects its slot', () => {
    const waiting = unplug('rng1');
    expect(label('rng1')!.removing).toBeGreaterThan(0);
    expect([read(4), sci(), waiting.result]).toEqual([2, true, undefined]);
    const again = unplug('rng1');
    eject(1);
    expect([waiting.result, again.result, read(4)]).toEqual([null, null, 0]);
    expect(names()).not.toContain('rng1');
    expect(happened.at(-1)).toBe('rng1 was unplugged');
    expect(plugged).toEqual(['+rng1', '-rng1']);
  });

  test('is unplugged at the latest by a reset', () => {
    const waiting = unplug('rng1');
    fake.chipset.reset();
    expect([waiting.result, names().includes('rng1')]).toEqual([null, false]);
  });

  test('stays when the request is canceled', () => {
    const waiting = unplug('rng1');
    hotPlug.cancel('rng1');
    expect(waiting.result).toBe('rng1 stays: unplugging it was canceled');
    expect([read(4), label('rng1')!.removing]).toEqual([0, undefined]);
    expect(() => hotPlug.cancel('rng1')).toThrow('the guest has not been asked to release rng1');
  });

  test('is still to be unplugged in a machine that continues from its state', () => {
    unplug('rng1');
    const state = fake.chipset.save();
    hotPlug.cancel('rng1');
    fake.chipset.load(state);
    expect(label('rng1')!.removing).toBeGreaterThan(0);
    eject(1);
    expect(names()).not.toContain('rng1');
  });

  test('may be ejected by a guest without a request', () => {
    eject(1);
    expect(happened.at(-1)).toBe('the guest has ejected rng1');
  });

  test('can be requested by the host', () => {
    hotPlug.requested('rng1', 'the host takes it back');
    expect(happened).toContain('rng1 is to be released: the host takes it back');
    expect(read(4)).toBe(2);
  });

  test('cannot be a built-in device, or an unknown one', () => {
    fake.chipset.attach(
      ...deviceTable.builtinBeside([]).map(type => ({ type, built: type.create(fake.services) })),
    );
    expect(() => unplug('com1')).toThrow('it cannot be unplugged');
    expect(() => unplug('rng7')).toThrow('the VM has no device "rng7": it has rng1');
    // Nor can the guest take what the machine needs: the host bridge.
    eject(0);
    expect(fake.chipset.pci.root.functionsOf(0)).toHaveLength(1);
  });

  test('is marked if it is not hot-pluggable', () => {
    const built = deviceTable.create(fake.services, deviceConfig.parse({ type: 'virtio-scsi' }), 'scsi0');
    fake.chipset.attach({ type: deviceTable.find('virtio-scsi')!, built });
    fake.chipset.attach(
      ...deviceTable.builtinBeside([]).map(type => ({ type, built: type.create(fake.services) })),
    );
    expect(['scsi0', 'rng1', 'com1'].map(name => label(name)!.fixed)).toEqual([true, undefined, undefined]);
    expect(() => unplug('scsi0')).toThrow('cannot be unplugged while the VM runs');
  });

  test('is closed when its back end has finished, however long that takes', () => {
    const { device } = fake.chipset.part('rng1')!.built;
    let finish = () => {};
    Object.assign(device, {
      quiesce: (done: () => void) => {
        finish = done;
      },
    });
    const waiting = unplug('rng1', true);
    expect([waiting.result, names().includes('rng1')]).toEqual([undefined, false]);
    finish();
    expect(waiting.result).toBeNull();
  });

  test('leaves nothing behind after a thousand times', () => {
    unplug('rng1', true);
    const before = holdings();
    for (let round = 0; round < 1000; round++) {
      plug('rng1');
      const waiting = unplug('rng1', round % 3 === 0);
      if (round % 3 !== 0) eject(1);
      expect(waiting.result).toBeNull();
    }
    expect(holdings()).toEqual(before);
  });
});
