import { beforeEach, describe, expect, test } from 'vitest';
import type { AccessSize } from '../../../src/devices/device.ts';
import { addEndpointCapability } from '../../../src/devices/pci/capabilities.ts';
import { PciFunction } from '../../../src/devices/pci/pci-function.ts';
import { RootPort } from '../../../src/devices/pci/root-port.ts';
import { FakeMachine } from '../../support/fake-machine.ts';
import { Random } from '../../support/random.ts';

const ECAM = 0xe000_0000;
const echo = { read: (offset: number) => offset, write: () => {} };

function deviceWithBar(name: string, kind: 'memory32' | 'memory64' | 'io', size: number): PciFunction {
  const fn = new PciFunction(name, { vendor: 0xabcd, device: 1, revision: 0, classCode: 0 });
  fn.addBar(0, { kind, size, prefetchable: kind === 'memory64', handler: echo });
  fn.addInterruptPin();
  addEndpointCapability(fn);
  return fn;
}

function rootPort(machine: FakeMachine, name: string, slot: number): RootPort {
  return new RootPort(name, { slot, allocateMsi: machine.services.allocateMsi });
}

describe('configuration mechanism #1', () => {
  let machine: FakeMachine;

  beforeEach(() => {
    machine = new FakeMachine();
    machine.pci.plug(deviceWithBar('dev0', 'memory32', 0x1000));
    machine.pci.assign();
  });

  test('reads and writes the addressed register in any size', () => {
    machine.ports.write(0xcf8, 4, 0x8000_0800);
    expect(machine.ports.read(0xcf8, 4)).toBe(0x8000_0800);
    expect(machine.ports.read(0xcfc, 4)).toBe(0x0001_abcd);
    expect(machine.ports.read(0xcfe, 2)).toBe(0x0001);
    expect(machine.ports.read(0xcfd, 1)).toBe(0xab);
    machine.ports.write(0xcf8, 4, 0x8000_083c);
    machine.ports.write(0xcfc, 1, 0x55);
    expect(machine.ports.read(0xcfc, 4)).toBe(0x0000_0155);
  });

  test('finds nothing without the enable bit, on other functions, slots and buses', () => {
    for (const address of [0x0000_0800, 0x8000_0900, 0x8000_1000, 0x8001_0800, 0x80ff_ff00]) {
      machine.ports.write(0xcf8, 4, address);
      expect(machine.ports.read(0xcfc, 4)).toBe(0xffff_ffff);
      machine.ports.write(0xcfc, 4, 0);
    }
  });

  test('the address register accepts only dwords', () => {
    machine.ports.write(0xcf8, 4, 0x8000_0800);
    machine.ports.write(0xcf8, 2, 0x1111);
    machine.ports.write(0xcfb, 1, 0);
    expect(machine.ports.read(0xcf8, 4)).toBe(0x8000_0800);
    machine.ports.write(0xcf8, 4, 0xffff_ffff);
    expect(machine.ports.read(0xcf8, 4)).toBe(0x80ff_fffc);
  });

  test('port 0xcf9 resets the machine when bit 2 rises', () => {
    machine.ports.write(0xcf9, 1, 0x02);
    expect(machine.requests).toEqual([]);
    machine.ports.write(0xcf9, 1, 0x06);
    machine.ports.write(0xcf9, 1, 0x06);
    expect(machine.requests).toEqual([{ kind: 'reset' }]);
    expect(machine.ports.read(0xcf9, 1)).toBe(0x06);
  });

  test('accesses beyond the ports are harmless', () => {
    machine.ports.write(0xcf8, 4, 0x8000_0800);
    machine.ports.write(0xcff, 4, 0);
    expect(machine.ports.read(0xcff, 2)).toBe(0xff00);
    // The last byte is the reset control register.
    expect(machine.ports.read(0xcf6, 4)).toBe(0x00ff_ffff);
  });
});

describe('ECAM', () => {
  test('shows the same functions as the ports', () => {
    const machine = new FakeMachine();
    machine.pci.plug(deviceWithBar('dev0', 'memory32', 0x1000));
    machine.pci.assign();
    expect(machine.memoryBus.read(ECAM, 4)).toBe(0x0008_1b36);
    expect(machine.memoryBus.read(ECAM + 0x8000, 4)).toBe(0x0001_abcd);
    expect(machine.memoryBus.read(ECAM + 0x8002, 1)).toBe(1);
    expect(machine.memoryBus.read(ECAM + 0x9000, 4)).toBe(0xffff_ffff);
    expect(machine.memoryBus.read(ECAM + 0x10_8000, 4)).toBe(0xffff_ffff);
    expect(machine.memoryBus.read(ECAM + 0x8ffe, 4)).toBe(0xffff_ffff);
    expect(machine.memoryBus.read(ECAM + 255 * 2 ** 20 + 0xffffc, 4)).toBe(0xffff_ffff);
    // Extended space without capabilities: the list begins with zero.
    expect(machine.memoryBus.read(ECAM + 0x8100, 4)).toBe(0);
  });
});

describe('slots', () => {
  test('report an error when none is free', () => {
    const machine = new FakeMachine();
    const { root } = machine.pci;
    for (let i = 0; i < 31; i++) root.plug(deviceWithBar(`dev${i}`, 'memory32', 0x1000));
    const last = deviceWithBar('last', 'memory32', 0x1000);
    expect(() => root.plug(last)).toThrow('PCI bus 0 has no free slot for "last": all 32 are taken');
    expect(() => root.plug(last, { slot: 3, function: 0 })).toThrow(/slot 3 .*"dev2"/);
    expect(() => root.plug(last, { slot: 32, function: 0 })).toThrow('PCI bus 0 has no slot 32 for "last"');
    expect(() => root.plug(last, { slot: 3, function: 8 })).toThrow('no slot 3, function 8');
    expect(() => machine.pci.plug(last)).toThrow(
      'the machine has no free PCI slot for "last": remove a device',
    );
  });

  test('BARs that do not fit are rejected', () => {
    const machine = new FakeMachine();
    machine.pci.plug(deviceWithBar('gpu0', 'memory32', 2 ** 29));
    machine.pci.plug(deviceWithBar('gpu1', 'memory32', 0x1000));
    expect(() => machine.pci.assign()).toThrow(/32-bit PCI memory window .* "gpu1"/);
  });
});

describe('a root port', () => {
  let machine: FakeMachine;
  let port: RootPort;
  let behind: PciFunction;

  beforeEach(() => {
    machine = new FakeMachine();
    machine.pci.plug(deviceWithBar('dev0', 'memory32', 0x1000));
    port = rootPort(machine, 'port0', 1);
    machine.pci.plug(port);
    behind = deviceWithBar('dev1', 'memory32', 0x4000);
    port.secondary.plug(behind);
    const far = rootPort(machine, 'port1', 2);
    machine.pci.plug(far);
    far.secondary.plug(deviceWithBar('dev2', 'memory64', 0x10_0000));
    machine.pci.assign();
  });

  test('is numbered, with windows around the devices behind it', () => {
    const config = ECAM + 2 * 0x8000;
    expect(machine.memoryBus.read(config + 0x0e, 1)).toBe(1);
    // Bus 2 is left for a bridge that is plugged in later.
    expect(machine.memoryBus.read(config + 0x18, 4)).toBe(0x0002_0100);
    expect(machine.memoryBus.read(config + 0x20, 4)).toBe(0xc020_c010);
    // Nothing for the other windows: base above limit.
    expect(machine.memoryBus.read(config + 0x1c, 1)).toBeGreaterThan(
      machine.memoryBus.read(config + 0x1d, 1),
    );
    expect(machine.memoryBus.read(ECAM + 2 ** 20 + 0x10, 4)).toBe(0xc010_0000);
    expect(machine.memoryBus.read(0xc010_0004, 4)).toBe(4);
    // After the space that the first port reserves.
    expect(machine.memoryBus.read(0x1_0200_0008, 4)).toBe(8);
    expect(machine.memoryBus.read(ECAM + 3 * 2 ** 20 + 0x10, 4)).toBe(0x0200_000c);
    expect(machine.memoryBus.read(ECAM + 3 * 2 ** 20 + 0x14, 4)).toBe(1);
  });

  test('finds its device at the bus number that the guest assigns', () => {
    machine.memoryBus.write(ECAM + 2 * 0x8000 + 0x18, 4, 0x0009_0900);
    expect(machine.memoryBus.read(ECAM + 2 ** 20, 4)).toBe(0xffff_ffff);
    expect(machine.memoryBus.read(ECAM + 9 * 2 ** 20, 4)).toBe(0x0001_abcd);
    expect(machine.memoryBus.read(ECAM + 9 * 2 ** 20 + 0x8000, 4)).toBe(0xffff_ffff);
  });

  test('forwards nothing outside its windows, or with decoding off', () => {
    const config = ECAM + 2 * 0x8000;
    machine.memoryBus.write(config + 0x20, 4, 0xd000_d000);
    expect(machine.memoryBus.read(0xc010_0004, 4)).toBe(0xffff_ffff);
    machine.memoryBus.write(ECAM + 2 ** 20 + 0x10, 4, 0xd000_0000);
    expect(machine.memoryBus.read(0xd000_0004, 4)).toBe(4);
    machine.memoryBus.write(config + 4, 2, 0);
    expect(machine.memoryBus.read(0xd000_0004, 4)).toBe(0xffff_ffff);
  });

  test('makes its device an endpoint with a link, while one on bus 0 is integrated into the root complex', () => {
    const capability = (base: number) => base + machine.memoryBus.read(base + 0x34, 1);
    const onBus0 = capability(ECAM + 0x8000);
    expect(machine.memoryBus.read(onBus0 + 2, 2)).toBe(0x92);
    expect(machine.memoryBus.read(onBus0 + 12, 4)).toBe(0);
    const onLink = capability(ECAM + 2 ** 20);
    expect(machine.memoryBus.read(onLink + 2, 2)).toBe(0x02);
    expect(machine.memoryBus.read(onLink + 12, 4)).toBe(0x11);
  });

  test('forwards interrupts to its own pin', () => {
    behind.setInterrupt(true);
    expect(machine.lines.map((line, i) => (line.level ? i : 0)).filter(i => i > 0)).toEqual([18]);
  });

  test('restores all bus numbers and windows from a saved state', () => {
    machine.memoryBus.write(ECAM + 2 * 0x8000 + 0x18, 4, 0x0009_0900);
    const state = machine.pci.save();
    machine.pci.reset();
    expect(machine.memoryBus.read(ECAM + 9 * 2 ** 20, 4)).toBe(0xffff_ffff);
    machine.pci.load(state);
    expect(machine.memoryBus.read(ECAM + 9 * 2 ** 20, 4)).toBe(0x0001_abcd);
  });

  test.each([1, 2, 3])('survives garbage in every configuration register (seed %i)', seed => {
    const random = new Random(seed);
    const sizes: AccessSize[] = [1, 2, 4];
    for (let i = 0; i < 20_000; i++) {
      const size = random.pick(sizes);
      if (random.below(2) === 0) {
        const slot = random.below(4) * 0x8000 + random.below(3) * 2 ** 20;
        machine.memoryBus.write(ECAM + slot + random.below(0x140), size, random.u32());
      } else if (random.below(4) === 0) {
        machine.ports.write(0xcf8, 4, 0x8000_0000 + random.below(0x4000));
      } else {
        machine.ports.write(0xcf8 + random.below(10), size, random.u32());
      }
      machine.memoryBus.read(random.pick([0xc000_0000, 0xd000_0000, ECAM]) + random.below(2 ** 22), size);
    }
    machine.pci.reset();
    for (const name of [behind, port]) name.reset();
    machine.pci.reset();
    expect(machine.memoryBus.read(0xc010_0004, 4)).toBe(4);
  });
});
