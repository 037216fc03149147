import { describe, expect, test } from 'vitest';
import { KnownDevices } from '../../../src/engine/hotplug/known-devices.ts';
import { parseMachineConfig } from '../../../src/vmm/machine/config.ts';

const config = parseMachineConfig({
  name: 'web',
  boot: { kind: 'kernel', path: 'kernel' },
  devices: [{ type: 'virtio-blk', path: '/a.img' }, { type: 'virtio-rng' }],
});
const first = [
  { name: 'blk0', bus: 'pci.0', addr: '01.0' },
  { name: 'rng0', bus: 'pci.0', addr: '02.0' },
];
const blk1 = { name: 'blk1', bus: 'root-port.1', addr: '00.0' };
const disk = { type: 'virtio-blk', path: '/b.img' };
const ports = ['18.0'];
const known = () => new KnownDevices(config, [], []);

describe('the configuration of a running machine', () => {
  test('stays the same while its devices do', () => {
    expect(known().follow({ rootPorts: [], devices: first })).toBe(config);
  });

  test('has a device that was plugged in, with every device in its slot', () => {
    const devices = known();
    devices.begin('blk1', disk);
    expect(devices.pending).toEqual([{ ...disk, name: 'blk1' }]);
    const now = devices.follow({ rootPorts: ports, devices: [...first, blk1] });
    devices.end('blk1');
    expect(devices.pending).toEqual([]);
    expect(now.rootPorts).toEqual({ at: ports, count: 0 });
    expect(now.devices).toMatchObject([
      { name: 'blk0', path: '/a.img', bus: 'pci.0', addr: '01.0' },
      { name: 'rng0', addr: '02.0' },
      { name: 'blk1', path: '/b.img', bus: 'root-port.1', addr: '00.0' },
    ]);
    // A machine that is built of it has them in the same places.
    expect(parseMachineConfig(now)).toEqual(now);
  });

  test('loses a device that was unplugged, and still knows it for an earlier state', () => {
    const devices = known();
    const now = devices.follow({ rootPorts: [], devices: [first[1]!] });
    expect(now.devices).toMatchObject([{ name: 'rng0', addr: '02.0' }]);
    expect(devices.at({ rootPorts: [], devices: first }).devices).toHaveLength(2);
    expect(devices.get('blk0')).toMatchObject({ path: '/a.img' });
  });

  test('has a device that the previous manager was about to plug in, if it is present', () => {
    const pending = [{ ...disk, name: 'blk1' }];
    const there = { rootPorts: ports, devices: [...first, blk1] };
    expect(new KnownDevices(config, pending, []).follow(there).devices).toHaveLength(3);
    expect(new KnownDevices(config, pending, []).follow({ rootPorts: [], devices: first })).toBe(config);
  });

  test('lists a device that the previous manager was plugging in as pending while the machine does', () => {
    const devices = new KnownDevices(config, [{ ...disk, name: 'blk1' }], []);
    const without = { rootPorts: ports, devices: first };
    expect(devices.follow(without, ['blk1', 'unheard-of'])).toBe(config);
    expect(devices.pending).toEqual([{ ...disk, name: 'blk1' }]);
    const now = devices.follow({ rootPorts: ports, devices: [...first, blk1] });
    expect(devices.pending).toEqual([]);
    expect(now.devices).toHaveLength(3);
    expect(devices.follow(without).devices).toHaveLength(2);
  });

  test('has no device that only the machine reports', () => {
    const liar = { name: 'blk9', bus: 'pci.0', addr: '09.0' };
    expect(known().follow({ rootPorts: [], devices: [...first, liar] })).toBe(config);
    const nowhere = { name: 'rng0', bus: '../etc', addr: 'zz' };
    const { devices } = known().follow({ rootPorts: ['?'], devices: [nowhere] });
    expect(devices).toEqual([{ type: 'virtio-rng', name: 'rng0' }]);
  });

  test('knows the devices of a device module by the names that the machine assigns', () => {
    const module = { type: 'my-timer', period: 5 };
    const base = { ...config, devices: [module], deviceModules: ['/timer.ts'] };
    const labels = [
      { name: 'com1', type: 'com1' },
      { name: 'timer0', type: 'my-timer' },
    ];
    const places = { rootPorts: [], devices: [{ name: 'timer0', bus: 'pci.0', addr: '01.0' }] };
    expect(new KnownDevices(base, [], labels).follow(places)).toBe(base);
  });
});
