import { expect, test } from 'vitest';
import { deviceConfig } from '../../../src/devices/device-config.ts';
import { RootPort } from '../../../src/devices/pci/root-port.ts';
import { deviceTable } from '../../../src/devices/registry.ts';
import { FakeBlockBackend } from '../../support/fake-block-backend.ts';
import { FakeMachine } from '../../support/fake-machine.ts';
import { ConfigOf } from '../../support/pci-device.ts';
import { PciehpDriver } from './pciehp-driver.ts';

/** Everything that a device takes from its machine. */
function holdings(machine: FakeMachine) {
  return {
    eventfds: machine.eventFds.counts.size,
    watched: machine.eventFds.watched,
    doorbells: machine.doorbells.size,
    regions: machine.regions.map(({ device }) => device),
    ranges: machine.memoryBus.owner(0xc010_0000) === null,
    wires: machine.lines.map(({ ends }) => ends.size),
    vectors: machine.vectors.filter(({ released }) => !released).length,
    counters: machine.queueCounters.filter(({ released }) => !released).length,
    statistics: machine.statistics.size,
  };
}

/** What a driver does that the release has to undo: BAR, bus master, MSI-X or INTx, queues. */
function drive(machine: FakeMachine, config: ConfigOf, msix: boolean): void {
  config.write(0x10, 4, 0xc010_0000);
  config.write(0x04, 2, 0x6);
  const common = 0xc010_0000;
  const write = (offset: number, size: 1 | 2 | 4, value: number) =>
    machine.memoryBus.write(common + offset, size, value);
  if (msix) {
    config.write(config.capability(0x11) + 2, 2, 0x8000);
    for (let vector = 0; vector < 2; vector++) {
      write(0x4000 + 16 * vector, 4, 0xfee0_0000);
      write(0x4000 + 16 * vector + 12, 4, 0);
    }
  }
  write(0x14, 1, 3);
  write(0x08, 4, 1);
  write(0x0c, 4, 1);
  write(0x14, 1, 11);
  write(0x16, 2, 0);
  write(0x1a, 2, 0);
  write(0x18, 2, 8);
  [0x20, 0x28, 0x30].forEach((field, i) => {
    write(field, 4, 0x1000 * (i + 1));
  });
  write(0x1c, 2, 1);
  write(0x14, 1, 15);
  expect(machine.memoryBus.read(common + 0x14, 1)).toBe(15);
}

test.each([{ type: 'virtio-blk', path: '/disk' }, { type: 'virtio-rng' }])(
  'leaves nothing behind after a $type is plugged in, used and unplugged a thousand times',
  options => {
    const machine = new FakeMachine();
    machine.disk = new FakeBlockBackend();
    const port = new RootPort('port0', { slot: 1, allocateMsi: machine.services.allocateMsi });
    machine.pci.root.plug(port, { slot: 2, function: 0 });
    machine.pci.assign();
    const driver = new PciehpDriver(new ConfigOf(machine, 0, 2), machine.vectors[0]!);
    const before = holdings(machine);
    for (let round = 0; round < 1000; round++) {
      const { device, pci } = deviceTable.create(machine.services, deviceConfig.parse(options), 'dev0');
      port.insert([pci!]);
      driver.interrupts();
      drive(machine, new ConfigOf(machine, 1), round % 2 === 0);
      if (round === 0) expect(holdings(machine)).not.toEqual(before);
      // Every third one is removed while its driver uses it.
      if (round % 3 === 0) port.remove();
      else {
        port.requestRemoval();
        driver.interrupts();
        driver.elapse();
      }
      device.close!();
      driver.interrupts();
      expect(new ConfigOf(machine, 1).exists).toBe(false);
      // The fakes remember everything that they ever handed out.
      machine.vectors.splice(1, Infinity, ...machine.vectors.slice(1).filter(({ released }) => !released));
    }
    expect(holdings(machine)).toEqual(before);
  },
);
