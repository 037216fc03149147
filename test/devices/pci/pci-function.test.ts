import { beforeEach, describe, expect, test } from 'vitest';
import type { AccessSize } from '../../../src/devices/device.ts';
import { addEndpointCapability } from '../../../src/devices/pci/capabilities.ts';
import { PciFunction } from '../../../src/devices/pci/pci-function.ts';
import { PowerManagement } from '../../../src/devices/pci/power-management.ts';
import { FakeMachine } from '../../support/fake-machine.ts';

const COMMAND = 0x04;
const STATUS = 0x06;
const BAR0 = 0x10;
const BAR1 = 0x14;
const BAR3 = 0x1c;

/** Reads give the offset, so that the bus shows which BAR answered where. */
const echo = { read: (offset: number) => offset, write: () => {} };

describe('PciFunction', () => {
  let machine: FakeMachine;
  let fn: PciFunction;
  let moves: (number | null)[];

  beforeEach(() => {
    machine = new FakeMachine();
    moves = [];
    fn = new PciFunction('dev0', { vendor: 0x1234, device: 0x5678, revision: 2, classCode: 0x020000 });
    fn.addBar(0, { kind: 'memory32', size: 0x4000, handler: echo, onMoved: at => moves.push(at) });
    fn.addBar(1, { kind: 'memory64', size: 0x10_0000, prefetchable: true, handler: echo });
    fn.addBar(3, { kind: 'io', size: 0x20, handler: echo });
    fn.addInterruptPin();
    new PowerManagement(fn);
    addEndpointCapability(fn);
    machine.pci.plug(fn);
    machine.pci.assign();
  });

  test('has read-only IDs', () => {
    for (let offset = 0; offset < 16; offset += 4) {
      if (offset !== COMMAND) fn.writeConfig(offset, 4, 0xffff_ffff);
    }
    expect(fn.readConfig(0, 4)).toBe(0x5678_1234);
    expect(fn.readConfig(8, 4)).toBe(0x0200_0002);
    expect(fn.readConfig(0x0e, 1)).toBe(0);
  });

  test('BARs report their size and type', () => {
    const sized = (offset: number) => {
      fn.writeConfig(offset, 4, 0xffff_ffff);
      return fn.readConfig(offset, 4);
    };
    expect(sized(BAR0)).toBe(0xffff_c000);
    expect(sized(BAR1)).toBe(0xfff0_000c);
    expect(sized(BAR1 + 4)).toBe(0xffff_ffff);
    expect(sized(BAR3)).toBe(0xffff_ffe1);
    expect(sized(0x20)).toBe(0);
  });

  test("responds at the BARs' addresses while decoding is on", () => {
    expect(machine.memoryBus.read(0xc000_0010, 4)).toBe(0x10);
    expect(machine.memoryBus.read(0x1_0000_0020, 4)).toBe(0x20);
    expect(machine.ports.read(0xc004, 4)).toBe(4);
    fn.writeConfig(COMMAND, 2, 1);
    expect(machine.memoryBus.read(0xc000_0010, 4)).toBe(0xffff_ffff);
    expect(machine.ports.read(0xc004, 4)).toBe(4);
    fn.writeConfig(COMMAND, 2, 2);
    expect(machine.memoryBus.read(0xc000_0010, 4)).toBe(0x10);
    expect(machine.ports.read(0xc004, 4)).toBe(0xffff_ffff);
    expect(moves).toEqual([0xc000_0000, null, 0xc000_0000]);
  });

  test('follows a BAR that the guest moves, and decodes nothing while the BAR is sized', () => {
    fn.writeConfig(BAR0, 4, 0xd000_0000);
    expect(machine.memoryBus.read(0xd000_0008, 4)).toBe(8);
    expect(machine.memoryBus.read(0xc000_0008, 4)).toBe(0xffff_ffff);
    fn.writeConfig(BAR0, 4, 0xffff_ffff);
    fn.writeConfig(BAR0, 4, 0);
    fn.writeConfig(BAR1 + 4, 4, 0x40);
    expect(machine.memoryBus.read(0x40_0000_0004, 4)).toBe(4);
    fn.writeConfig(BAR1 + 4, 4, 0xffff_ffff);
    expect(fn.bars[1]!.address).toBeNull();
    expect(moves).toEqual([0xc000_0000, 0xd000_0000, null]);
  });

  test('a BAR that overlaps another function or the ECAM window claims nothing', () => {
    fn.writeConfig(BAR0, 4, 0xe000_0000);
    expect(machine.memoryBus.read(0xe000_8000, 4)).toBe(0x5678_1234);
    fn.writeConfig(BAR0, 4, 0xc000_0000);
    expect(machine.memoryBus.read(0xc000_0010, 4)).toBe(0x10);
  });

  test('asserts its pin unless the command register disables interrupts, and shows it in the status', () => {
    const line = machine.lines[17]!;
    fn.setInterrupt(true);
    expect([line.level, fn.readConfig(STATUS, 2) & 8]).toEqual([true, 8]);
    fn.writeConfig(COMMAND, 2, 0x403);
    expect([line.level, fn.readConfig(STATUS, 2) & 8]).toEqual([false, 8]);
    fn.writeConfig(COMMAND, 2, 3);
    expect(line.level).toBe(true);
    fn.setInterrupt(false);
    expect([line.level, fn.readConfig(STATUS, 2) & 8]).toEqual([false, 0]);
  });

  test('functions share an interrupt line', () => {
    const others = Array.from({ length: 4 }, (_, i) => {
      const other = new PciFunction(`dev${i + 1}`, { vendor: 1, device: 1, revision: 0, classCode: 0 });
      machine.pci.plug(other);
      return other;
    });
    // Slot 1 and slot 5.
    const sharer = others[3]!;
    fn.setInterrupt(true);
    sharer.setInterrupt(true);
    fn.setInterrupt(false);
    expect(machine.lines[17]!.level).toBe(true);
    sharer.reset();
    expect(machine.lines[17]!.level).toBe(false);
  });

  test('links its capabilities', () => {
    const ids: number[] = [];
    for (let at = fn.readConfig(0x34, 1); at !== 0; at = fn.readConfig(at + 1, 1))
      ids.push(fn.readConfig(at, 1));
    expect(ids).toEqual([0x01, 0x10]);
    expect(fn.readConfig(STATUS, 2) & 0x10).toBe(0x10);
  });

  test('loading a function maps its BARs; a foreign state changes no read-only bit', () => {
    fn.writeConfig(BAR0, 4, 0xd123_4000);
    fn.setInterrupt(true);
    const state = fn.save();
    fn.reset();
    expect(machine.lines[17]!.level).toBe(false);
    fn.load(state);
    expect(machine.memoryBus.read(0xd123_4004, 4)).toBe(4);
    expect(machine.lines[17]!.level).toBe(true);
    fn.load({ config: new Uint8Array(4096).fill(0xff), interrupt: false });
    expect(fn.readConfig(0, 4)).toBe(0x5678_1234);
    expect(() => fn.load({ config: new Uint8Array(10) })).toThrow(/4096 bytes/);
    expect(() => fn.load({})).toThrow(/"config"/);
  });

  test('no access of any kind throws', () => {
    for (const size of [1, 2, 4] as AccessSize[]) {
      for (let offset = 0; offset < 4096; offset++) {
        if ((offset & 3) + size > 4) continue;
        fn.writeConfig(offset, size, 0xffff_ffff);
        expect(fn.readConfig(offset, size)).toBeLessThan(2 ** (8 * size));
      }
    }
  });
});
