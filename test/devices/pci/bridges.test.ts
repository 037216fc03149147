import { beforeEach, describe, expect, test } from 'vitest';
import { type PciBridge, pciBridge, pcieToPciBridge } from '../../../src/devices/pci/pci-bridge.ts';
import type { PciFunction } from '../../../src/devices/pci/pci-function.ts';
import { RootPort } from '../../../src/devices/pci/root-port.ts';
import { FakeMachine } from '../../support/fake-machine.ts';
import { ConfigOf, deviceWithBar } from '../../support/pci-device.ts';

const COMMAND = 0x04;
const HEADER_TYPE = 0x0e;
const BRIDGE_CONTROL = 0x3e;
const SECONDARY_RESET = 0x40;
const BUS_MASTER = 0x4;
const EXPRESS = 0x10;

/** The GSIs of the PCI wires that are asserted. */
const asserted = (machine: FakeMachine) => machine.lines.flatMap((line, gsi) => (line.level ? [gsi] : []));

describe('the functions of a slot', () => {
  let machine: FakeMachine;
  let functions: PciFunction[];

  beforeEach(() => {
    machine = new FakeMachine();
    functions = [0, 1, 5].map(pin => deviceWithBar(`dev${pin}`, 'memory32', 0x1000, pin % 4));
    [0, 1, 5].forEach((number, i) => {
      machine.pci.root.plug(functions[i]!, { slot: 3, function: number });
    });
    machine.pci.assign();
  });

  test('are found side by side, each with its BAR and pin', () => {
    const at = (fn: number) => new ConfigOf(machine, 0, 3, fn);
    expect([0, 1, 2, 3, 4, 5, 6, 7].filter(fn => at(fn).exists)).toEqual([0, 1, 5]);
    expect([0, 1, 5].map(fn => at(fn).read(HEADER_TYPE, 1))).toEqual([0x80, 0x80, 0x80]);
    expect([0, 1, 5].map(fn => at(fn).read(0x10, 4))).toEqual([0xc000_0000, 0xc000_1000, 0xc000_2000]);
    machine.ports.write(0xcf8, 4, 0x8000_1900);
    expect(machine.ports.read(0xcfc, 4)).toBe(0x0001_abcd);
    // Slot 3: INTA# to GSI 16 + 3, INTB# to the next one.
    expect(at(0).read(0x3c, 2)).toBe(0x0113);
    expect(at(1).read(0x3c, 2)).toBe(0x0210);
    functions[0]!.setInterrupt(true);
    expect(asserted(machine)).toEqual([19]);
    functions[1]!.setInterrupt(true);
    expect(asserted(machine)).toEqual([16, 19]);
  });

  test('become a single function when the others are removed', () => {
    functions[0]!.setInterrupt(true);
    for (const fn of functions.slice(1)) machine.pci.root.unplug(fn);
    expect(new ConfigOf(machine, 0, 3, 0).read(HEADER_TYPE, 1)).toBe(0);
    expect(new ConfigOf(machine, 0, 3, 1).exists).toBe(false);
    expect(machine.memoryBus.read(0xc000_1000, 4)).toBe(0xffff_ffff);
    expect(machine.memoryBus.read(0xc000_0004, 4)).toBe(4);
    expect(asserted(machine)).toEqual([19]);
    machine.pci.root.unplug(functions[0]!);
    expect(asserted(machine)).toEqual([]);
  });
});

describe('nested bridges', () => {
  let machine: FakeMachine;
  let port: RootPort;
  let outer: PciBridge;
  let inner: PciBridge;
  let near: PciFunction;
  let far: PciFunction;
  let express: PciFunction;

  beforeEach(() => {
    machine = new FakeMachine();
    port = new RootPort('port0', { slot: 1, allocateMsi: machine.services.allocateMsi });
    machine.pci.root.plug(port, { slot: 2, function: 0 });
    outer = pcieToPciBridge('outer');
    port.secondary.plug(outer);
    near = deviceWithBar('near', 'io', 0x20);
    outer.secondary.plug(near, { slot: 1, function: 0 });
    inner = pciBridge('inner');
    outer.secondary.plug(inner, { slot: 7, function: 0 });
    far = deviceWithBar('far', 'memory32', 0x1000, 1);
    inner.secondary.plug(far, { slot: 5, function: 0 });
    express = deviceWithBar('express', 'memory64', 0x1000);
    machine.pci.root.plug(express, { slot: 4, function: 0 });
    machine.pci.assign();
  });

  test('have bus numbers in depth-first order, and nested windows', () => {
    expect(['near', 'far'].map((_, i) => machine.pci.addressOf([near, far][i]!))).toEqual([
      '02:01.0',
      '03:05.0',
    ]);
    const numbers = (config: ConfigOf) => config.read(0x18, 4).toString(16).padStart(8, '0');
    expect(numbers(new ConfigOf(machine, 0, 2))).toBe('00040100');
    expect(numbers(new ConfigOf(machine, 1))).toBe('00030201');
    expect(numbers(new ConfigOf(machine, 2, 7))).toBe('00030302');
    expect(machine.memoryBus.read(0xc000_0008, 4)).toBe(8);
    expect(machine.ports.read(0xc008, 4)).toBe(8);
    // The function on bus 0 lies behind the port's windows.
    expect(new ConfigOf(machine, 0, 4).read(0x10, 4)).toBe(0x0200_000c);
  });

  test('forward only what all of them forward', () => {
    new ConfigOf(machine, 2, 7).write(COMMAND, 2, 0);
    expect(machine.memoryBus.read(0xc000_0008, 4)).toBe(0xffff_ffff);
    expect(machine.ports.read(0xc008, 4)).toBe(8);
    new ConfigOf(machine, 2, 7).write(COMMAND, 2, 7);
    expect(machine.memoryBus.read(0xc000_0008, 4)).toBe(8);
    new ConfigOf(machine, 0, 2).write(COMMAND, 2, 6);
    expect(machine.ports.read(0xc008, 4)).toBe(0xffff_ffff);
    new ConfigOf(machine, 0, 2).write(0x20, 4, 0xd000_d000);
    expect(machine.memoryBus.read(0xc000_0008, 4)).toBe(0xffff_ffff);
  });

  test('are reached by bus number, wherever the guest puts them', () => {
    const root = new ConfigOf(machine, 0, 2);
    root.write(0x18, 4, 0x0020_1000);
    new ConfigOf(machine, 0x10).write(0x18, 4, 0x0020_1810);
    new ConfigOf(machine, 0x18, 7).write(0x18, 4, 0x0020_2018);
    expect(new ConfigOf(machine, 0x20, 5).exists).toBe(true);
    expect(machine.pci.addressOf(far)).toBe('20:05.0');
    expect(new ConfigOf(machine, 3, 5).exists).toBe(false);
    // A bridge above doesn't pass on numbers outside its range.
    root.write(0x18, 4, 0x001f_1000);
    expect(new ConfigOf(machine, 0x20, 5).exists).toBe(false);
    // Garbage: a bridge that claims its own bus, and numbers that go round.
    root.write(0x18, 4, 0x00ff_0000);
    new ConfigOf(machine, 0, 2).write(0x18, 4, 0x0001_ff00);
    expect(new ConfigOf(machine, 7).exists).toBe(false);
    expect(machine.pci.addressOf(near)).not.toBe('00:01.0');
  });

  test('rotate interrupt pins by slot', () => {
    far.setInterrupt(true);
    // INTB# in slot 5 -> (5 + 1) % 4 in slot 7 -> (7 + 2) % 4 in slot 0 -> (0 + 1) % 4 in slot 2 of bus 0.
    expect(asserted(machine)).toEqual([16 + ((2 + 1) % 4)]);
    expect(new ConfigOf(machine, 3, 5).read(0x3c, 1)).toBe(19);
  });

  test('offer no extended configuration space and no PCI Express on a conventional bus', () => {
    expect(new ConfigOf(machine, 0, 4).read(0x100, 4)).toBe(0);
    const config = new ConfigOf(machine, 3, 5);
    expect(config.read(0x100, 4)).toBe(0xffff_ffff);
    expect(() => config.capability(EXPRESS)).toThrow('no capability');
    expect(new ConfigOf(machine, 0, 4).capability(EXPRESS)).toBeGreaterThan(0);
    const bridge = new ConfigOf(machine, 1);
    // To a conventional bus, version 2, on a link.
    expect(bridge.read(bridge.capability(EXPRESS) + 2, 2)).toBe(0x0072);
  });

  test('block DMA and interrupts of devices behind them', () => {
    const changes: boolean[] = [];
    far.onBusMaster(allowed => changes.push(allowed));
    new ConfigOf(machine, 3, 5).write(COMMAND, 2, BUS_MASTER);
    expect(far.busMaster).toBe(true);
    new ConfigOf(machine, 0, 2).write(COMMAND, 2, 3);
    expect(far.busMaster).toBe(false);
    new ConfigOf(machine, 0, 2).write(COMMAND, 2, 7);
    expect(changes).toEqual([true, false, true]);
  });

  test('reset devices behind them on a secondary bus reset', () => {
    const resets: string[] = [];
    for (const fn of [near, far]) fn.onBusReset(() => resets.push(fn.name));
    const config = new ConfigOf(machine, 1);
    config.write(BRIDGE_CONTROL, 2, SECONDARY_RESET);
    config.write(BRIDGE_CONTROL, 2, SECONDARY_RESET);
    expect(resets).toEqual(['near', 'far']);
    expect(new ConfigOf(machine, 2, 1).read(0x10, 4)).toBe(1);
    expect(new ConfigOf(machine, 2, 7).read(0x18, 4)).toBe(0);
    expect(machine.ports.read(0xc008, 4)).toBe(0xffff_ffff);
    config.write(BRIDGE_CONTROL, 2, 0);
    expect(resets).toHaveLength(2);
  });

  test('are saved and loaded as a tree', () => {
    const root = new ConfigOf(machine, 0, 2);
    root.write(0x18, 4, 0x0020_1000);
    new ConfigOf(machine, 0x10).write(0x18, 4, 0x0020_1810);
    const state = machine.pci.save();
    const functions = [near, far].map(fn => fn.save());
    for (const fn of [near, far]) fn.reset();
    machine.pci.reset();
    expect(machine.pci.addressOf(near)).toBe('02:01.0');
    machine.pci.load(state);
    [near, far].forEach((fn, i) => {
      fn.load(functions[i]!);
    });
    expect(machine.pci.addressOf(near)).toBe('18:01.0');
    expect(machine.pci.save()).toEqual(state);
    expect(machine.memoryBus.read(0xc000_0008, 4)).toBe(8);

    inner.secondary.unplug(far);
    expect(() => machine.pci.load(state)).toThrow('"tree"');
    expect(() => machine.pci.load({ ...state, version: 1 })).toThrow('"version"');
  });

  test('are unplugged with everything behind them', () => {
    far.setInterrupt(true);
    port.secondary.unplug(outer);
    expect(asserted(machine)).toEqual([]);
    expect(new ConfigOf(machine, 1).exists).toBe(false);
    expect(new ConfigOf(machine, 3, 5).exists).toBe(false);
    expect(machine.memoryBus.read(0xc000_0008, 4)).toBe(0xffff_ffff);
    expect(machine.regions.map(({ device }) => device)).not.toContain('far');
    expect(machine.pci.addressOf(far)).toBeNull();
  });
});

describe('an INTx pin that eventfds drive', () => {
  test('follows the interrupt disable bit, behind bridges too', () => {
    const machine = new FakeMachine();
    const bridge = pciBridge('bridge');
    machine.pci.root.plug(bridge, { slot: 2, function: 0 });
    const fn = deviceWithBar('vfio0', 'memory32', 0x1000);
    bridge.secondary.plug(fn, { slot: 1, function: 0 });
    machine.pci.assign();
    const fds = () => [...machine.lines[19]!.ends].flatMap(end => [...end.fds]);
    fn.connectInterrupt(30, 31);
    expect(fds()).toEqual([[30, 31]]);
    fn.connectInterrupt(32);
    const config = new ConfigOf(machine, 1, 1);
    config.write(COMMAND, 2, 0x400);
    expect(fds()).toEqual([]);
    config.write(COMMAND, 2, 0);
    fn.disconnectInterrupt(32);
    expect(fds()).toEqual([[30, 31]]);
    bridge.secondary.unplug(fn);
    expect(fds()).toEqual([]);
    bridge.secondary.plug(fn, { slot: 2, function: 0 });
    expect([...machine.lines[16]!.ends].flatMap(end => [...end.fds])).toEqual([[30, 31]]);
  });
});

describe('slot assignment', () => {
  test('follows the order: bus 0 first, then a root port per device, eight per slot', () => {
    const placesOf = (count: number) => {
      const machine = new FakeMachine();
      const devices = Array.from({ length: count }, (_, i) => deviceWithBar(`dev${i}`, 'memory32', 0x1000));
      for (const fn of devices) machine.pci.plug(fn);
      machine.pci.assign();
      expect(devices.every(fn => machine.memoryBus.read(fn.bars[0]!.address! + 8, 4) === 8)).toBe(true);
      return devices.map(fn => machine.pci.addressOf(fn));
    };
    const many = placesOf(87);
    expect(new Set(many).size).toBe(87);
    expect(many.slice(0, 2)).toEqual(['00:01.0', '00:02.0']);
    // Two bus numbers to a port.
    expect(many.slice(22, 26)).toEqual(['00:17.0', '01:00.0', '03:00.0', '05:00.0']);
    for (const count of [1, 23, 24, 60]) expect(placesOf(count)).toEqual(many.slice(0, count));
    expect(() => placesOf(88)).toThrow('no free PCI slot for "dev87": remove a device');
  });

  test('avoids slots that were chosen', () => {
    const machine = new FakeMachine();
    machine.pci.root.plug(deviceWithBar('mine', 'memory32', 0x1000), { slot: 24, function: 0 });
    for (let i = 0; i < 32; i++) machine.pci.plug(deviceWithBar(`dev${i}`, 'memory32', 0x1000));
    expect(new ConfigOf(machine, 0, 24).read(HEADER_TYPE, 1)).toBe(0);
    expect(new ConfigOf(machine, 0, 25, 7).read(HEADER_TYPE, 1)).toBe(0x81);
    expect(new ConfigOf(machine, 0, 26, 0).read(HEADER_TYPE, 1)).toBe(0x01);
    expect(machine.pci.interruptSlots).toEqual([...Array.from({ length: 26 }, (_, i) => i + 1)]);
  });

  test('reuses freed slots', () => {
    const machine = new FakeMachine();
    const devices = Array.from({ length: 30 }, (_, i) => deviceWithBar(`dev${i}`, 'memory32', 0x1000));
    for (const fn of devices) machine.pci.plug(fn);
    for (const index of [4, 25]) devices[index]!.close();
    const [first, second] = [0, 1].map(i => deviceWithBar(`new${i}`, 'memory32', 0x1000));
    machine.pci.plug(first!);
    machine.pci.plug(second!);
    machine.pci.assign();
    expect([first!, second!].map(fn => machine.pci.addressOf(fn))).toEqual(['00:05.0', '05:00.0']);
  });

  test('reports an error when bus numbers run out', () => {
    const machine = new FakeMachine();
    let bus = machine.pci.root;
    for (let depth = 0; depth < 256; depth++) {
      const bridge = pciBridge(`b${depth}`);
      bus.plug(bridge);
      bus = bridge.secondary;
    }
    expect(() => machine.pci.assign()).toThrow('there is no bus number left for "b255"');
  });
});
