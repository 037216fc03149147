import { describe, expect, test } from 'vitest';
import { deviceConfig } from '../../../src/devices/device-config.ts';
import type { DeviceConfig } from '../../../src/devices/device-table.ts';
import { placeDevices } from '../../../src/devices/places.ts';
import { deviceTable } from '../../../src/devices/registry.ts';
import { TABLES_FILE } from '../../../src/vmm/acpi/acpi-tables.ts';
import { FakeBlockBackend } from '../../support/fake-block-backend.ts';
import { FakeMachine } from '../../support/fake-machine.ts';

/** A machine with the devices that every machine has, and these. */
function machineWith(...given: readonly DeviceConfig[]): FakeMachine {
  const machine = new FakeMachine();
  machine.disk = new FakeBlockBackend();
  const { chipset, services } = machine;
  const configs = given.map(config => deviceConfig.parse(config));
  const names = deviceTable.names(configs);
  const { places, problems } = placeDevices(deviceTable, configs);
  expect(problems).toEqual([]);
  chipset.attach(
    ...deviceTable.builtinBeside(configs).map(type => ({ type, built: type.create(services) })),
    ...configs.map((config, index) => ({
      type: deviceTable.rowOf(config),
      built: deviceTable.create(services, config, names[index]!),
      place: places[index]!,
    })),
  );
  chipset.pci.assign();
  return machine;
}

const blk = { type: 'virtio-blk', path: '/a' };
const rng = { type: 'virtio-rng' };

describe('a chipset', () => {
  test('connects ports and PCI functions, and reports the location of each device', () => {
    const { chipset, regions } = machineWith(blk, rng);
    const ofDevices = regions.map(({ device, space, start }) => `${device} ${space} ${start.toString(16)}`);
    expect(ofDevices).toEqual(
      expect.arrayContaining(['com1 port 3f8', 'acpi-pm port 600', 'blk0 memory c0000000']),
    );
    const labels = Object.fromEntries(chipset.labels.map(({ name, address }) => [name, address]));
    expect(labels).toMatchObject({ com1: null, blk0: '00:01.0', rng0: '00:02.0' });
    expect(chipset.devices.map(({ device }) => device.name)).toEqual(Object.keys(labels));
    expect(chipset.labels.find(({ name }) => name === 'blk0')).toMatchObject({
      ...{ type: 'virtio-blk', backend: 'disk' },
    });
  });

  test('places devices where their options say, and the others around them', () => {
    const { chipset, pci } = machineWith(
      rng,
      { ...blk, addr: '1' },
      { ...rng, addr: '1.2', name: 'second' },
      rng,
    );
    const labels = Object.fromEntries(chipset.labels.map(({ name, address }) => [name, address]));
    expect(labels).toMatchObject({ rng0: '00:02.0', blk0: '00:01.0', second: '00:01.2', rng1: '00:03.0' });
    expect(pci.readConfig(0, 1 << 3, 0xe, 1) & 0x80).toBe(0x80);
    expect(pci.readConfig(0, (1 << 3) | 2, 0, 4)).toBe(0x1044_1af4);
  });

  test('has buses behind bridges, in any order of devices', () => {
    const { chipset, pci } = machineWith(
      { ...blk, bus: 'far', addr: '4' },
      { ...rng, bus: 'port' },
      { type: 'pci-bridge', name: 'far', bus: 'near' },
      { type: 'pcie-pci-bridge', name: 'near' },
      { type: 'root-port', name: 'port', slot: 9, addr: '3' },
    );
    const labels = Object.fromEntries(
      chipset.labels.map(({ name, bus, address }) => [name, `${bus} ${address}`]),
    );
    expect(labels).toMatchObject({
      near: 'pci.0 00:01.0',
      far: 'near 01:00.0',
      blk0: 'far 02:04.0',
      port: 'pci.0 00:03.0',
      rng0: 'port 03:00.0',
    });
    expect(pci.readConfig(2, 4 << 3, 0, 4)).toBe(0x1042_1af4);
    expect(pci.readConfig(3, 0, 0, 4)).toBe(0x1044_1af4);
  });

  test('rejects a port conflict between devices', () => {
    const second = { type: 'isa-serial', name: 'second', chardev: 'null' };
    expect(() => machineWith({ ...second, iobase: 0x3f8 })).toThrow(
      'device second cannot have the ports 0x3f8 to 0x3ff: com1 has some of them; choose others',
    );
    const { chipset, lines, ports } = machineWith({ ...second, iobase: 0x1000, irq: 5 });
    const tables = Buffer.from(
      chipset.acpiTables({ apicIds: [0], isPresent: () => true }).files.get(TABLES_FILE)!,
    );
    expect(tables.includes('U200')).toBe(true);
    ports.write(0x1001, 1, 2);
    expect(lines[5]!.level).toBe(true);
  });

  test('presses the power button of the device that has one', () => {
    const { chipset, lines, ports } = machineWith();
    expect(chipset.powerButton.enabled).toBe(false);
    ports.write(0x602, 2, 1 << 8);
    expect(chipset.powerButton.enabled).toBe(true);
    expect(lines[9]!.level).toBe(false);
    chipset.powerButton.press();
    expect(lines[9]!.level).toBe(true);
    const none = new FakeMachine().chipset.powerButton;
    none.press();
    expect(none.enabled).toBe(false);
  });

  test('disconnects a device, and frees its ports, its BARs and its slot', () => {
    const machine = machineWith(blk, rng);
    const { chipset, ports, memoryBus } = machine;
    expect(memoryBus.read(0xc000_0014, 1)).toBe(0);
    expect(ports.read(0x3fd, 1)).toBe(0x60);
    chipset.detach('blk0').device.close!();
    chipset.detach('com1');
    expect(memoryBus.read(0xc000_0014, 1)).toBe(0xff);
    expect(ports.read(0x3fd, 1)).toBe(0xff);
    expect(chipset.labels.map(({ name }) => name)).not.toContain('blk0');
    expect(machine.regions.map(({ device }) => device)).not.toContain('com1');
    expect(() => chipset.detach('blk0')).toThrow('there is no device "blk0"');
    const built = deviceTable.create(machine.services, deviceConfig.parse(rng), 'rng1');
    chipset.attach({ type: deviceTable.rowOf(rng), built });
    expect(chipset.labels.at(-1)).toMatchObject({ name: 'rng1', address: '00:01.0' });
  });

  test('describes its devices', () => {
    const dsdt = ({ chipset }: FakeMachine) =>
      Buffer.from(
        chipset.acpiTables({ apicIds: [0], isPresent: () => true }).files.get(TABLES_FILE)!,
      ).toString('latin1');
    expect(dsdt(machineWith())).toMatch(/COM1.*RTC_.*KBD_/s);
    expect(dsdt(new FakeMachine())).not.toMatch(/COM1|RTC_|KBD_/);
  });
});
