import { describe, expect, test } from 'vitest';
import { pciBridge } from '../../../src/devices/pci/pci-bridge.ts';
import { IRQ } from '../../../src/devices/vfio/host-device.ts';
import { FakeMachine } from '../../support/fake-machine.ts';
import { graphicsCard, manyMessages, soundOfCard } from './made-devices.ts';
import { COMMAND, PassedRig } from './passed-rig.ts';

const POWER = { e1000e: 0xc8, state: 4 } as const;
const FLR = { express: 0xa0, control: 8, bit: 0x8000 } as const;

/** All of conventional configuration space, as a guest reads it. */
const config = ({ fn }: PassedRig) => Array.from({ length: 64 }, (_, index) => fn.readConfig(4 * index, 4));

describe('a device', () => {
  test('is reset in D0 when it is opened, before the guest can access it', () => {
    const rig = new PassedRig('e1000e');
    const [wake, reset] = rig.host.calls;
    // It was in D3hot when it was recorded.
    expect([wake, reset]).toEqual(['config 0xcc 0000', 'reset']);
    expect(rig.host.triggers[IRQ.intx]).toHaveLength(1);
  });

  test('is reset with its machine, without interrupts and DMA, to its power-on state', () => {
    const rig = new PassedRig('igb-vf');
    const fresh = config(rig);
    rig.start();
    rig.fn.writeConfig(0x72, 2, 0x8000);
    rig.write(3, 12, 0);
    expect(rig.host.triggers[IRQ.msix]).toHaveLength(1);
    rig.host.calls.length = 0;
    rig.device.quiesce(() => {});
    expect(rig.host.config[4]! & COMMAND.busMaster).toBe(0);
    rig.device.reset();
    rig.machine.pci.reset();
    expect([rig.host.calls.indexOf('msix off') < rig.host.calls.indexOf('reset'), rig.host.resets]).toEqual([
      true,
      2,
    ]);
    rig.device.resume();
    expect(config(rig)).toEqual(fresh);
    expect(rig.host.triggers[IRQ.msix]).toEqual([]);
    expect(rig.machine.eventFds.counts.size).toBe(2);
  });

  test('is a bus master again after a pause', () => {
    const rig = new PassedRig('nvme');
    rig.start();
    let quiesced = false;
    rig.device.quiesce(() => {
      quiesced = true;
    });
    expect([quiesced, rig.host.config[4]! & COMMAND.busMaster]).toEqual([true, 0]);
    expect(rig.fn.readConfig(4, 2) & COMMAND.busMaster).toBe(COMMAND.busMaster);
    rig.device.resume();
    expect(rig.host.config[4]! & COMMAND.busMaster).toBe(COMMAND.busMaster);
  });

  test('is reset when it is closed, and leaves nothing behind', () => {
    const rig = new PassedRig('e1000e');
    rig.start();
    rig.device.close();
    expect(rig.host.calls.slice(-3)).toEqual(['reset', 'config 0xcc 0000', 'close']);
    expect([rig.host.mapped, rig.host.triggers.flat(), rig.host.config[4]! & 7]).toEqual([[], [], 0]);
    expect(rig.machine.eventFds.counts.size).toBe(0);
    expect(rig.machine.memoryBus.owner(0xc000_0000)).toBeNull();
  });

  test('whose functions can only be reset together is reset with the last one', () => {
    const machine = new FakeMachine();
    const card = new PassedRig(
      { ...graphicsCard('0000:41:00.0'), resetMethods: [] },
      {},
      { machine, name: 'gpu' },
    );
    const sound = new PassedRig(soundOfCard('0000:41:00.1'), {}, { machine, name: 'sound' });
    const rigs = [card, sound];
    const connected = () => rigs.map(({ host }) => host.triggers[IRQ.intx]!.length);
    expect(connected()).toEqual([1, 1]);
    for (const { device } of rigs) device.quiesce(() => {});
    for (const { device } of rigs) device.reset();
    expect(connected()).toEqual([0, 0]);
    for (const { device } of rigs) device.resume();
    expect(connected()).toEqual([1, 1]);
  });
});

describe("the guest's reset", () => {
  test('of the function resets the device, and clears its configuration', () => {
    const rig = new PassedRig('igb');
    rig.start();
    rig.fn.writeConfig(FLR.express + FLR.control, 2, FLR.bit);
    expect(rig.host.resets).toBe(2);
    expect([rig.command, rig.bar(0).address, rig.mapped(0)]).toEqual([0, null, []]);
    expect(rig.fn.readConfig(FLR.express + FLR.control, 2) & FLR.bit).toBe(0);
    expect(rig.host.triggers[IRQ.intx]).toHaveLength(1);
    // The driver restores it.
    rig.fn.writeConfig(0x10, 4, 0xd000_0000);
    rig.start();
    expect(rig.mapped(0)).toEqual([[0, 131072]]);
  });

  test('of a conventional function resets the device, too', () => {
    const rig = new PassedRig(manyMessages('0000:05:00.0'));
    rig.start();
    rig.fn.writeConfig(0x64, 1, 1);
    expect([rig.host.resets, rig.command, rig.fn.readConfig(0x64, 1)]).toEqual([2, 0, 0]);
  });

  test('has no effect if the device does not support it', () => {
    const rig = new PassedRig('e1000e');
    rig.fn.writeConfig(rig.capability(0x10)! + FLR.control, 2, FLR.bit);
    expect(rig.host.resets).toBe(1);
  });

  test('of the bus resets the device behind it', () => {
    const machine = new FakeMachine();
    const bridge = pciBridge('bridge0');
    machine.pci.plug(bridge);
    const rig = new PassedRig('igb', {}, { machine, place: ({ pci }) => bridge.secondary.plug(pci!) });
    rig.start();
    bridge.writeConfig(0x3e, 2, 0x40);
    expect([rig.host.resets, rig.command, rig.host.triggers[IRQ.intx]!.length]).toEqual([2, 0, 1]);
  });
});

describe('power management', () => {
  test('unmaps the BARs before the device sleeps, and maps them once it is awake', () => {
    const rig = new PassedRig('e1000e');
    rig.start();
    rig.host.calls.length = 0;
    rig.fn.writeConfig(POWER.e1000e + POWER.state, 2, 3);
    expect([rig.mapped(0), rig.bar(0).address, rig.host.config[0xcc]! & 3]).toEqual([[], null, 3]);
    expect(rig.host.config[4]! & COMMAND.busMaster).toBe(0);
    expect(rig.host.calls.at(-1)).toBe('config 0xcc 0300');
    rig.fn.writeConfig(POWER.e1000e + POWER.state, 2, 0);
    expect([rig.mapped(0), rig.host.config[0xcc]! & 3]).toEqual([[[0, 131072]], 0]);
    expect(rig.host.config[4]! & COMMAND.busMaster).toBe(COMMAND.busMaster);
  });

  test("has only the device's states, and no PME", () => {
    const rig = new PassedRig('e1000e');
    rig.fn.writeConfig(POWER.e1000e + POWER.state, 2, 0x8101);
    expect(rig.fn.readConfig(POWER.e1000e + POWER.state, 2) & 0x8103).toBe(0);
    expect(rig.fn.readConfig(POWER.e1000e + 2, 2) & 0xf800).toBe(0);
  });

  test('is awake after a reset', () => {
    const rig = new PassedRig('e1000e');
    rig.fn.writeConfig(POWER.e1000e + POWER.state, 2, 3);
    rig.device.reset();
    rig.machine.pci.reset();
    expect([rig.mapped(0), rig.fn.readConfig(POWER.e1000e + POWER.state, 2) & 3]).toEqual([[[0, 131072]], 0]);
  });
});
