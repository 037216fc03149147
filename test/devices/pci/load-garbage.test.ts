import { expect, test } from 'vitest';
import type { DeviceState, StateValue } from '../../../src/devices/device.ts';
import { pcieToPciBridge } from '../../../src/devices/pci/pci-bridge.ts';
import { RootPort } from '../../../src/devices/pci/root-port.ts';
import { DeviceStateError } from '../../../src/devices/state.ts';
import { FakeMachine } from '../../support/fake-machine.ts';
import { ConfigOf, deviceWithBar } from '../../support/pci-device.ts';
import { Random } from '../../support/random.ts';

function machineWithTree(): FakeMachine {
  const machine = new FakeMachine();
  const port = new RootPort('port0', { slot: 1, allocateMsi: machine.services.allocateMsi });
  machine.pci.root.plug(port, { slot: 2, function: 0 });
  const bridge = pcieToPciBridge('bridge0');
  port.secondary.plug(bridge);
  bridge.secondary.plug(deviceWithBar('dev0', 'memory32', 0x1000), { slot: 3, function: 0 });
  machine.pci.assign();
  return machine;
}

/** The same state with one value somewhere in it replaced, or with bytes changed. */
function damaged(state: StateValue, random: Random): StateValue {
  if (random.below(4) === 0)
    return random.pick([null, -1, 1.5, 'x', 2 ** 40, new Uint8Array(3), [], {}, true]);
  if (state instanceof Uint8Array) {
    const bytes = state.slice();
    for (let i = 0; i < 16; i++) bytes[random.below(Math.min(bytes.length, 0x100))] = random.u32();
    return bytes;
  }
  if (Array.isArray(state)) {
    const index = random.below(state.length + 1);
    if (index === state.length) return state.slice(1);
    return state.map((value, i) => (i === index ? damaged(value, random) : value));
  }
  if (typeof state === 'object' && state !== null) {
    const keys = Object.keys(state);
    const key = random.pick(keys);
    return { ...state, [key]: damaged((state as DeviceState)[key]!, random) };
  }
  return random.u32();
}

test.each([1, 2, 3])(
  'a damaged state of the tree is rejected, or like one caused by a guest (seed %i)',
  seed => {
    const random = new Random(seed);
    const machine = machineWithTree();
    const saved = machine.pci.save();
    let [refused, loaded] = [0, 0];
    for (let round = 0; round < 2000; round++) {
      try {
        const key = random.pick(Object.keys(saved));
        machine.pci.load({ ...saved, [key]: damaged(saved[key]!, random) });
        loaded++;
      } catch (error) {
        if (!(error instanceof DeviceStateError)) throw error;
        refused++;
      }
      for (let bus = 0; bus < 4; bus++) new ConfigOf(machine, bus, random.below(32)).read(0, 4);
    }
    expect(refused).toBeGreaterThan(100);
    expect(loaded).toBeGreaterThan(100);
    machine.pci.load(saved);
    expect(machine.pci.save()).toEqual(saved);
    expect(machine.memoryBus.read(0xc000_0008, 4)).toBe(8);
  },
);
