import { beforeEach, describe, expect, test } from 'vitest';
import type { DeviceMemory } from '../../../src/devices/device-memory.ts';
import { PciFunction } from '../../../src/devices/pci/pci-function.ts';
import { KvmSlots } from '../../../src/vmm/memory/kvm-slots.ts';
import { FakeMachine } from '../../support/fake-machine.ts';
import { FakeSlots } from '../../support/fake-slots.ts';

const COMMAND = 0x04;
const BAR0 = 0x10;
const ROM = 0x30;
const PAGE = 4096;

let machine: FakeMachine;
let kvm: FakeSlots;
let fn: PciFunction;
let video: DeviceMemory;
let rom: DeviceMemory;
beforeEach(() => {
  machine = new FakeMachine();
  kvm = new FakeSlots();
  machine.memoryBus.listen(new KvmSlots(kvm, 8));
  fn = new PciFunction('vga0', { vendor: 0x1234, device: 0x1111, revision: 0, classCode: 0x030000 });
  video = machine.services.allocateMemory('vga0 memory', 16 * PAGE, 'device');
  rom = machine.services.allocateMemory('vga0 ROM', 4 * PAGE, 'rom');
  rom.writable(0, 2).set([0x55, 0xaa]);
  fn.addBar(0, { kind: 'memory32', size: video.size, prefetchable: true, memory: video });
  fn.addRom(rom);
  machine.pci.plug(fn);
  machine.pci.assign();
});

const slots = () =>
  [...kvm.slots.values()].map(({ address, size, readonly }) => [address, size, readonly]).sort();

describe('a BAR with memory', () => {
  test('is a KVM memory slot where the guest maps it', () => {
    expect(slots()).toEqual([[0xc000_0000, 16 * PAGE, false]]);
    fn.writeConfig(BAR0, 4, 0xd000_0000);
    expect(slots()).toEqual([[0xd000_0000, 16 * PAGE, false]]);
    expect(fn.bars[0]!.answersAt(machine.memoryBus, 0xd000_0000)).toBe(true);
    fn.writeConfig(COMMAND, 2, 0);
    expect(slots()).toEqual([]);
    machine.memoryBus.write(0xd000_0000, 4, 1);
    expect(video.bytes[0]).toBe(0);
  });

  test('is reachable by the DMA of other devices', () => {
    machine.memoryBus.memory.writeU32(0xc000_0004, 0x1234_5678);
    expect([...video.bytes.subarray(4, 8)]).toEqual([0x78, 0x56, 0x34, 0x12]);
  });

  test('notifies its device of writes', () => {
    const watch = video.watch();
    const other = video.watch();
    machine.memoryBus.memory.writeU32(0xc000_5000, 1);
    video.writable(2 * PAGE - 1, 2);
    expect(watch.collect()).toEqual([
      { start: PAGE, end: 3 * PAGE },
      { start: 5 * PAGE, end: 6 * PAGE },
    ]);
    expect(watch.collect()).toEqual([]);
    watch.stop();
    expect(other.collect()).toHaveLength(2);
    expect(() => video.writable(16 * PAGE - 1, 2)).toThrow('vga0 memory has 65536 bytes, not 2 at 65535');
  });

  test('must have the size of its memory', () => {
    expect(() => fn.addBar(1, { kind: 'memory32', size: PAGE, memory: video })).toThrow(
      'BAR 1 of vga0 has 4096 bytes, its memory 65536',
    );
  });

  test('is unmapped once its memory is released', () => {
    video.release();
    expect(slots()).toEqual([]);
    expect(machine.memoryBus.owner(0xc000_0000)).toBeNull();
  });
});

describe('an expansion ROM', () => {
  test('reports its size, and is decoded once it is enabled', () => {
    fn.writeConfig(ROM, 4, 0xffff_f800);
    expect(fn.readConfig(ROM, 4)).toBe(0xffff_c000);
    fn.writeConfig(ROM, 4, 0xd100_0000);
    expect(slots()).toHaveLength(1);
    fn.writeConfig(ROM, 4, 0xd100_0001);
    expect(fn.readConfig(ROM, 4)).toBe(0xd100_0001);
    expect(slots()).toContainEqual([0xd100_0000, 4 * PAGE, true]);
    machine.memoryBus.write(0xd100_0000, 2, 0);
    expect(machine.memoryBus.read(0xd100_0000, 2)).toBe(0xaa55);
    fn.writeConfig(COMMAND, 2, 0);
    expect(slots()).toEqual([]);
  });

  test('is restored from a saved state, and disabled after a reset', () => {
    fn.writeConfig(ROM, 4, 0xd100_0001);
    const state = fn.save();
    fn.reset();
    expect(slots()).toEqual([]);
    fn.load(state);
    expect(machine.memoryBus.read(0xd100_0000, 2)).toBe(0xaa55);
  });
});
