import { describe, expect, test } from 'vitest';
import { RootPort } from '../../../src/devices/pci/root-port.ts';
import { IRQ } from '../../../src/devices/vfio/host-device.ts';
import { KvmSlots } from '../../../src/vmm/memory/kvm-slots.ts';
import { FakeMachine } from '../../support/fake-machine.ts';
import { FakeSlots } from '../../support/fake-slots.ts';
import { Random } from '../../support/random.ts';
import { graphicsCard, manyMessages } from './made-devices.ts';
import { PassedRig } from './passed-rig.ts';

const GPU = graphicsCard('0000:41:00.0');
const DEVICES = ['igb-vf', 'igb', 'e1000e', 'nvme', GPU, manyMessages('0000:05:00.0')] as const;
const SEEDS = [1, 2, 3, 4];
const WRITES = 1500;
const SIZES = [1, 2, 4] as const;
/** What a guest may change in the command register of the device: I/O, memory, bus master, INTx disable. */
const GUESTS_COMMAND = 0x0407;

/** A guest that writes anything anywhere in configuration space, moves BARs and reads and writes them. */
function attack(rig: PassedRig, random: Random): void {
  const { fn, machine } = rig;
  const size = random.pick(SIZES);
  const mask = size === 4 ? 0xffff_ffff : 2 ** (8 * size) - 1;
  const value =
    (random.pick([0, 0xffff_ffff, 0xc000_0000, 0x8000, 1, 3, 0xfee0_0000, random.u32()]) & mask) >>> 0;
  const mapped = fn.bars.filter(({ address }) => address !== null);
  if (random.below(3) === 0 && mapped.length > 0) {
    const bar = random.pick(mapped);
    const offset = Math.floor(random.below(2 ** 30) % Math.min(bar.size, 2 ** 20)) & ~(size - 1);
    // The test's memory of the largest BAR is one page.
    if (bar.size > 2 ** 28) return;
    const bus = bar.space === 'port' ? machine.ports : machine.memoryBus;
    if (random.below(2) === 0) bus.write(bar.address! + offset, size, value);
    else bus.read(bar.address! + offset, size);
    return;
  }
  const header = random.below(2) === 0;
  const offset = random.below(header ? 0x40 : random.pick([0x100, 0x1000])) & ~(size - 1);
  fn.writeConfig(offset, size, value);
  fn.readConfig(offset, size);
  if (random.below(20) === 0) fn.writeConfig(4, 2, 0x0007);
}

describe.each(DEVICES)('a hostile guest of $address', recorded => {
  test.each(SEEDS)('changes only what it may (%i)', seed => {
    const random = new Random(seed);
    const machine = new FakeMachine();
    const kvm = new FakeSlots();
    machine.memoryBus.listen(new KvmSlots(kvm, 64));
    const behindPort = seed % 2 === 0;
    const port = new RootPort('port0', { slot: 1, allocateMsi: machine.services.allocateMsi });
    if (behindPort) machine.pci.plug(port);
    const rig = new PassedRig(
      recorded,
      {},
      {
        machine,
        ...(behindPort && { place: ({ pci }) => port.secondary.plug(pci!) }),
      },
    );
    const links = () => [rig.capabilities, rig.extendedCapabilities];
    const before = links();
    const header = [...rig.host.config.subarray(0, 4), ...rig.host.config.subarray(8, 12)];
    for (let i = 0; i < WRITES; i++) {
      attack(rig, random);
      const { host, fn } = rig;
      // The guest reaches registers only while the device decodes memory, and is awake.
      const shown = fn.bars.some(({ index }) => rig.mapped(index).length > 0);
      if (shown) expect(host.config[4]! & 2).toBe(2);
      const active = [IRQ.intx, IRQ.msi, IRQ.msix].filter(index => host.triggers[index]!.length > 0);
      expect(active.length).toBeLessThanOrEqual(1);
      if (random.below(10) === 0) host.interrupt(random.below(3), random.below(4));
      if (random.below(10) === 0) machine.eventFds.turn();
    }
    expect(machine.broken).toEqual([]);
    expect(links()).toEqual(before);
    const { host } = rig;
    expect([...host.config.subarray(0, 4), ...host.config.subarray(8, 12)]).toEqual(header);
    const command = host.config[4]! | (host.config[5]! << 8);
    expect(command & ~GUESTS_COMMAND).toBe(0);
    // The host's own BARs, and what is hidden, have never been written.
    const written = host.calls.flatMap(call => /^config 0x([0-9a-f]+) /.exec(call)?.[1] ?? []);
    for (const at of written.map(text => Number.parseInt(text, 16))) {
      expect(at < 4 || (at >= 0x08 && at < 0x0c) || (at >= 0x0e && at < 0x40)).toBe(false);
    }
    rig.device.close();
    expect([host.mapped, machine.eventFds.counts.size]).toEqual([[], 0]);
    expect(kvm.slots.size).toBe(0);
  });
});
