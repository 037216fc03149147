import { beforeEach, describe, expect, test } from 'vitest';
import { deviceConfig } from '../../../src/devices/device-config.ts';
import type { BuiltDevice } from '../../../src/devices/device-type.ts';
import { deviceTable } from '../../../src/devices/registry.ts';
import { FakeBlockBackend } from '../../support/fake-block-backend.ts';
import { FakeMachine } from '../../support/fake-machine.ts';
import { GuestDriver, VERSION_1 } from '../virtio/guest-driver.ts';

let machine: FakeMachine;
let disk: FakeBlockBackend;

beforeEach(() => {
  machine = new FakeMachine();
  disk = new FakeBlockBackend();
  machine.disk = disk;
});

function attach(options: object, name: string, bus = 'scsi0'): BuiltDevice {
  const config = deviceConfig.parse(options);
  const type = deviceTable.rowOf(config);
  const built = deviceTable.create(machine.services, config, name);
  const address =
    config.addr === undefined
      ? null
      : { unit: Number(config.addr.split(':')[0]), function: Number(config.addr.split(':')[1] ?? 0) };
  machine.chipset.attach({ type, built, ...(type.bus === 'scsi' && { place: { bus, address } }) });
  return built;
}

const controller = () => machine.scsi.controllers[0]!;
const fact = (built: BuiltDevice, label: string) => built.facts!.find(each => each.label === label)?.value;
const medium = { path: '/other', format: 'raw', readonly: true, cache: 'writeback' } as const;

describe('drives on a SCSI bus', () => {
  beforeEach(() => {
    attach({ type: 'virtio-scsi', 'max-target': 2 }, 'scsi0');
    machine.pci.assign();
  });

  test('are placed at their configured address, or at the first free target', () => {
    attach({ type: 'scsi-hd', path: '/a', addr: '1:3' }, 'sd0');
    attach({ type: 'scsi-hd', path: '/b' }, 'sd1');
    attach({ type: 'scsi-cd' }, 'cd0');
    expect(controller().units.map(({ address }) => [address.target, address.lun])).toEqual([
      [1, 3],
      [0, 0],
      [2, 0],
    ]);
    expect(machine.chipset.places.devices.slice(1)).toEqual([
      { name: 'sd0', bus: 'scsi0', addr: '1:3' },
      { name: 'sd1', bus: 'scsi0', addr: '0:0' },
      { name: 'cd0', bus: 'scsi0', addr: '2:0' },
    ]);
    expect(() => attach({ type: 'scsi-hd', path: '/c' }, 'sd2')).toThrow(/sd2: all targets .* are taken/);
  });

  test('have their own counters for as long as they exist', () => {
    const before = machine.queueCounters.length;
    const built = attach({ type: 'scsi-hd', path: '/a' }, 'sd0');
    expect(machine.queueCounters.length).toBe(before + 1);
    const counters = machine.queueCounters.at(-1)!;
    expect(controller().units[0]!.counterSlot).toBe(counters.slot);
    disk.size = 512;
    // One that is refused leaves none.
    expect(() => attach({ type: 'scsi-cd', path: '/b' }, 'cd0')).toThrow();
    expect(machine.queueCounters.length).toBe(before + 1);
    built.device.close?.();
    expect(counters.released).toBe(true);
  });

  test('have the values of their options, and otherwise those of the disk', () => {
    attach({ type: 'scsi-hd', path: '/a', wwn: '0x5000c500', vendor: 'ACME', 'rotation-rate': 7200 }, 'sd0');
    expect(controller().units[0]!.identity).toMatchObject({
      ...{ kind: 'disk', vendor: 'ACME', product: 'VRING HARDDISK', serial: 'sd0', wwn: 0x5000c500n },
      ...{ logicalBlock: 512, physicalBlock: 4096, rotationRate: 7200, removable: false, writeCache: true },
    });
    disk.size = 512;
    expect(() => attach({ type: 'scsi-cd', path: '/b' }, 'cd0')).toThrow(
      /512 bytes, less than one block of 2048/,
    );
  });

  test('change their media, but not while the guest has locked them', () => {
    const built = attach({ type: 'scsi-cd', path: '/cd' }, 'cd0');
    const { drive } = built.capabilities!.disk!;
    const [unit] = controller().units;
    const seen: unknown[] = [];
    drive!.onChanged(() => seen.push(fact(built, 'tray')));
    unit!.drives({ locked: true });
    expect(() => drive!.change(medium, false)).toThrow(/guest has locked the tray of cd0: it has been asked/);
    expect([unit!.calls, fact(built, 'path')]).toEqual([['insert first', 'request eject'], '/cd']);
    drive!.change(medium, true);
    expect([unit!.calls.at(-1), fact(built, 'path')]).toEqual(['insert', '/other']);
    unit!.drives({ locked: false, trayOpen: true });
    drive!.change(null, false);
    expect([unit!.calls.at(-1), fact(built, 'path')]).toEqual(['eject', 'empty']);
    expect(() => drive!.change(null, false)).toThrow('cd0 is empty');
    expect(seen).toEqual(['locked', 'open']);
    expect(attach({ type: 'scsi-hd', path: '/a' }, 'sd0').capabilities!.disk!.drive).toBeNull();
  });

  test('notify a driver of a new size and of their removal, if it has enabled that', () => {
    const built = attach({ type: 'scsi-hd', path: '/a' }, 'sd0');
    built.capabilities!.disk!.resize(2 ** 20);
    expect(controller().notifications).toEqual([]);
    const driver = new GuestDriver(machine, 1);
    driver.negotiate(VERSION_1 | (driver.offered & 6n));
    built.capabilities!.disk!.resize(2 ** 21);
    machine.chipset.detach('sd0');
    expect(controller().notifications).toEqual(['event 3 of 0:0, reason 2346', 'event 1 of 0:0, reason 2']);
    expect(controller().units).toEqual([]);
    built.device.close!();
    expect(disk.closed).toBe(true);
  });
});
