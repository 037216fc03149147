import { expect, it } from 'vitest';
import * as zod from 'zod';
import { COMMAND, REG } from '../../../src/devices/pci/registers.ts';
import { pvpanic, pvpanicPci } from '../../../src/devices/platform/pvpanic.ts';
import { FakeMachine } from '../../support/fake-machine.ts';

const CRASH = { kind: 'crash', reason: 'the guest has panicked' };

it('reports a guest panic, on ISA', () => {
  const machine = new FakeMachine();
  const options = pvpanic.config(zod).parse({ type: 'pvpanic' });
  const built = pvpanic.create(machine.services, options, 'panic0');
  machine.chipset.attach({ type: pvpanic, built });
  expect(machine.ports.read(0x505, 1)).toBe(0x03);
  machine.ports.write(0x505, 1, 0x04);
  machine.ports.write(0x505, 1, 0x02);
  expect([machine.requests, machine.warnings]).toEqual([
    [],
    ['panic0: the guest has panicked, and its crash kernel takes over'],
  ]);
  machine.ports.write(0x505, 1, 0x01);
  expect(machine.requests).toEqual([CRASH]);
  // Where Linux looks for it.
  expect(Buffer.from(built.acpi!.systemBus!).toString('latin1')).toContain('QEMU0001');
});

it('reports a guest panic, on PCI', () => {
  const machine = new FakeMachine();
  const options = pvpanicPci.config(zod).parse({ type: 'pvpanic-pci' });
  const built = pvpanicPci.create(machine.services, options, 'panic0');
  machine.chipset.attach({ type: pvpanicPci, built });
  machine.pci.assign();
  built.pci!.writeConfig(REG.command, 2, COMMAND.memory);
  const base = built.pci!.bars[0]!.address!;
  expect(machine.memoryBus.read(base, 1)).toBe(0x03);
  machine.memoryBus.write(base, 1, 0x01);
  expect(machine.requests).toEqual([CRASH]);
});
