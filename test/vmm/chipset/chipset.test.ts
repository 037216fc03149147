import { describe, expect, test } from 'vitest';
import { deviceTable } from '../../../src/devices/registry.ts';
import { TABLES_FILE } from '../../../src/vmm/acpi/acpi-tables.ts';
import { FakeBlockBackend } from '../../support/fake-block-backend.ts';
import { FakeMachine } from '../../support/fake-machine.ts';

/** A machine with the devices that every machine has, and those of these types. */
function machineWith(...types: readonly string[]): FakeMachine {
  const machine = new FakeMachine();
  machine.disk = new FakeBlockBackend();
  const { chipset, services } = machine;
  const configs = types.map(type => ({ type, path: '/a', readonly: false, cache: 'none', queues: 1 }));
  const names = deviceTable.names(configs);
  for (const row of deviceTable.builtinBeside(configs)) chipset.attach(row, row.create(services));
  configs.forEach((config, index) => {
    chipset.attach(deviceTable.rowOf(config), deviceTable.create(services, config, names[index]!));
  });
  chipset.pci.assign();
  return machine;
}

describe('a chipset', () => {
  test('connects ports and PCI functions, and says where each device is', () => {
    const { chipset, regions } = machineWith('virtio-blk', 'virtio-rng');
    const ofDevices = regions.map(({ device, space, start }) => `${device} ${space} ${start.toString(16)}`);
    expect(ofDevices).toEqual(
      expect.arrayContaining(['com1 port 3f8', 'acpi-pm port 600', 'blk0 memory c0000000']),
    );
    const labels = Object.fromEntries(chipset.labels.map(({ name, pci }) => [name, pci]));
    expect(labels).toMatchObject({ com1: null, blk0: '00:01.0', rng0: '00:02.0' });
    expect(chipset.devices.map(({ device }) => device.name)).toEqual(Object.keys(labels));
    expect(chipset.labels.find(({ name }) => name === 'blk0')).toMatchObject({
      ...{ type: 'virtio-blk', backend: 'disk' },
    });
  });

  test('presses the power button of whichever device has one', () => {
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

  test('describes the devices that it has', () => {
    const dsdt = ({ chipset }: FakeMachine) =>
      Buffer.from(chipset.acpiTables({ apicIds: [0], presentCpus: 1 }).files.get(TABLES_FILE)!).toString(
        'latin1',
      );
    expect(dsdt(machineWith())).toMatch(/COM1.*RTC_.*KBD_/s);
    expect(dsdt(new FakeMachine())).not.toMatch(/COM1|RTC_|KBD_/);
  });
});
