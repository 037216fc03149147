import { describe, expect, test } from 'vitest';
import { deviceConfig } from '../../../src/devices/device-config.ts';
import { deviceTable } from '../../../src/devices/registry.ts';
import { FakeBlockBackend } from '../../support/fake-block-backend.ts';
import { FakeMachine } from '../../support/fake-machine.ts';

/** The functions of bus 0 as a guest finds them: slot, IDs, class, BAR 0, interrupt line. */
function scan(machine: FakeMachine): string[] {
  const functions: string[] = [];
  for (let slot = 0; slot < 32; slot++) {
    const read = (offset: number, size: 1 | 2 | 4) =>
      machine.memoryBus.read(0xe000_0000 + slot * 0x8000 + offset, size);
    if (read(0, 2) === 0xffff) continue;
    const id = `${hex(read(0, 2), 4)}:${hex(read(2, 2), 4)}`;
    const kind = hex(read(8, 4) >>> 8, 6);
    const bar = hex(read(0x10, 4), 8);
    functions.push(
      `00:${hex(slot, 2)}.0 ${id} ${kind} bar0 ${bar} command ${read(4, 2)} irq ${read(0x3c, 1)}`,
    );
  }
  return functions;
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0');
}

describe('the PCI layout that guests see', () => {
  test('slots, IDs and BAR addresses follow the order of the configuration', () => {
    const machine = new FakeMachine();
    machine.disk = new FakeBlockBackend();
    const configs = [
      { type: 'virtio-blk', path: '/a' },
      { type: 'virtio-rng' },
      { type: 'virtio-blk', path: '/b', queues: 16 },
    ].map(config => deviceConfig.parse(config));
    const names = deviceTable.names(configs);
    for (const [i, config] of configs.entries()) {
      machine.pci.plug(deviceTable.create(machine.services, config, names[i]!).pci!);
    }
    machine.pci.assign();
    expect(scan(machine)).toMatchInlineSnapshot(`
      [
        "00:00.0 1b36:0008 060000 bar0 00000000 command 0 irq 0",
        "00:01.0 1af4:1042 010000 bar0 c0000000 command 2 irq 17",
        "00:02.0 1af4:1044 ff0000 bar0 c0008000 command 2 irq 18",
        "00:03.0 1af4:1042 010000 bar0 c0010000 command 2 irq 19",
      ]
    `);
    expect(machine.regions.filter(({ device }) => /^(blk|rng)/.test(device))).toMatchInlineSnapshot(`
      [
        {
          "device": "blk0",
          "size": 32768,
          "space": "memory",
          "start": 3221225472,
        },
        {
          "device": "rng0",
          "size": 32768,
          "space": "memory",
          "start": 3221258240,
        },
        {
          "device": "blk1",
          "size": 32768,
          "space": "memory",
          "start": 3221291008,
        },
      ]
    `);
  });
});
