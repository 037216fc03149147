import { describe, expect, test } from 'vitest';
import { RootPort } from '../../../src/devices/pci/root-port.ts';
import { vfioPci } from '../../../src/devices/vfio/vfio-pci.ts';
import { Chipset } from '../../../src/vmm/chipset/chipset.ts';
import { FakeMachine } from '../../support/fake-machine.ts';
import { graphicsCard, manyMessages, soundOfCard } from './made-devices.ts';
import { COMMAND, PassedRig } from './passed-rig.ts';

const GiB = 2 ** 30;
const BAR = (index: number) => 0x10 + 4 * index;

describe('a BAR', () => {
  test("has the size and type of the device's BAR", () => {
    const { fn } = new PassedRig(graphicsCard('0000:41:00.0'));
    for (const index of [0, 1, 2, 3, 4, 5]) fn.writeConfig(BAR(index), 4, 0xffff_ffff);
    const sizes = [0, 1, 2, 3, 4, 5].map(index => fn.readConfig(BAR(index), 4));
    expect(sizes).toEqual([0xff00_0000, 0x0000_000c, 0xffff_fff8, 0xfe00_000c, 0xffff_ffff, 0]);
  });

  test('of ports is forwarded', () => {
    const rig = new PassedRig('e1000e');
    rig.write(2, 4, 0x1234, 2);
    expect([...rig.host.contents[2]!.subarray(4, 6)]).toEqual([0x34, 0x12]);
    expect(rig.read(2, 4, 2)).toBe(0x1234);
    rig.command &= ~COMMAND.io;
    expect(rig.machine.ports.read(0xc004, 2)).toBe(0xffff);
  });

  test('is device memory where the guest maps it, except for the pages of the MSI-X table', () => {
    const rig = new PassedRig('nvme');
    expect(rig.mapped(0)).toEqual([[0, 0x2000]]);
    rig.fn.writeConfig(BAR(0), 4, 0xd000_0000);
    rig.fn.writeConfig(BAR(1), 4, 0);
    expect([rig.bar(0).address, rig.mapped(0)]).toEqual([0xd000_0000, [[0, 0x2000]]]);
    rig.machine.memoryBus.memory.writeU32(0xd000_0010, 0x0046_0001);
    expect(rig.host.contents[0]![0x10]).toBe(0x01);
    // The rest of the pages is the device's.
    rig.write(0, 0x2800, 0x5a5a_5a5a);
    rig.write(0, 0x2000, 0xfee0_0000);
    expect([rig.host.contents[0]![0x2800], rig.host.contents[0]![0x2002]]).toEqual([0x5a, 0]);
    rig.command = 0;
    expect(rig.machine.memoryBus.owner(0xd000_0000)).toBeNull();
    expect(rig.device.facts.bars[0]).toMatchObject({ address: null, mapped: 0 });
    rig.command = COMMAND.memory;
    expect(rig.device.facts.bars[0]).toEqual({
      index: 0,
      kind: 'memory',
      size: 0x4000,
      address: '0xd0000000',
      mapped: 0x2000,
      prefetchable: false,
    });
  });

  test('whose table shares pages with registers maps the rest, and splits accesses at the boundary', () => {
    const device = graphicsCard('0000:41:00.0');
    // The table of six vectors from 0x1ff0 on, the pending bits at 0x5008.
    const config = { ...device.config, '0c0': `${'00'.repeat(8)}11000500f01f00000850${'00'.repeat(14)}` };
    const rig = new PassedRig({ ...device, bars: [0x8000, 0, 0, 0, 0, 0], config });
    expect(rig.mapped(0)).toEqual([
      [0, 0x1000],
      [0x3000, 0x2000],
      [0x6000, 0x2000],
    ]);
    rig.host.contents[0]!.fill(0xaa);
    expect(rig.read(0, 0x1fec)).toBe(0xaaaa_aaaa);
    rig.write(0, 0x1ff0, 0xfee0_0000);
    expect(rig.read(0, 0x1ff0)).toBe(0xfee0_0000);
    expect(rig.read(0, 0x2050)).toBe(0xaaaa_aaaa);
    expect(rig.read(0, 0x5004)).toBe(0xaaaa_aaaa);
    expect(rig.read(0, 0x5008)).toBe(0);
  });

  test('is not mapped if so configured, and every access reaches the device', () => {
    const rig = new PassedRig('nvme', { 'x-no-mmap': true });
    expect(rig.mapped(0)).toEqual([]);
    rig.write(0, 0x14, 0x0046_0001);
    expect(rig.host.contents[0]![0x14]).toBe(1);
    expect(rig.host.mapped).toEqual([]);
  });

  test('smaller than a page is mapped while it is at a page boundary', () => {
    const rig = new PassedRig(manyMessages('0000:05:00.0'));
    const page = [[0, 0x1000]];
    const { memoryBus } = rig.machine;
    expect([rig.bar(0).address! % 0x1000, rig.mapped(0)]).toEqual([0, page]);
    expect(rig.device.facts.bars[0]).toMatchObject({ size: 256, mapped: 256 });
    rig.write(0, 0xfc, 0x0102_0304);
    expect([...rig.host.contents[0]!.subarray(0xfc)]).toEqual([4, 3, 2, 1]);

    rig.fn.writeConfig(BAR(0), 4, 0xd000_0100);
    expect([rig.bar(0).address, rig.mapped(0)]).toEqual([0xd000_0100, []]);
    expect(rig.device.facts.bars[0]).toMatchObject({ address: '0xd0000100', mapped: 0 });
    expect(rig.read(0, 0xfc)).toBe(0x0102_0304);
    expect([memoryBus.owner(0xd000_0000), memoryBus.owner(0xd000_0200)]).toEqual([null, null]);

    rig.fn.writeConfig(BAR(0), 4, 0xd000_2000);
    expect(rig.mapped(0)).toEqual(page);
    expect(rig.read(0, 0xfc)).toBe(0x0102_0304);
    rig.command = 0;
    expect(memoryBus.owner(0xd000_2000)).toBeNull();
  });

  test('smaller than a page that shares its page with others is read and written instead', () => {
    const machine = new FakeMachine();
    const [first, second] = ['0000:05:00.0', '0000:06:00.0'].map(
      (address, index) => new PassedRig(manyMessages(address), {}, { machine, name: `hostdev${index}` }),
    ) as [PassedRig, PassedRig];
    second.fn.writeConfig(BAR(0), 4, first.bar(0).address! + 0x100);
    second.write(0, 0, 0x5a5a_5a5a);
    first.write(0, 0, 0x3c3c_3c3c);
    expect([first.host.contents[0]![0], second.host.contents[0]![0]]).toEqual([0x3c, 0x5a]);
    // KVM maps whole pages only.
    const pieces: number[] = [];
    machine.memoryBus.listen({
      commit: ({ added }) => pieces.push(...added.map(({ address }) => address)),
    })();
    expect(pieces).not.toContain(first.bar(0).address);
    second.command = 0;
    machine.memoryBus.listen({
      commit: ({ added }) => pieces.push(...added.map(({ address }) => address)),
    })();
    expect(pieces).toContain(first.bar(0).address);
  });

  test('smaller than a page is not mapped if every access is to exit', () => {
    const rig = new PassedRig(manyMessages('0000:05:00.0'), { 'x-no-mmap': true });
    expect(rig.mapped(0)).toEqual([]);
    rig.write(0, 0xfc, 0x0102_0304);
    expect(rig.read(0, 0xfc)).toBe(0x0102_0304);
    expect(rig.machine.memoryBus.owner(rig.bar(0).address! + 0x100)).toBeNull();
  });

  test('reads all ones where the device does not respond, and reports it', () => {
    const rig = new PassedRig(manyMessages('0000:05:00.0'), { 'x-no-mmap': true });
    rig.host.fails = true;
    expect(rig.read(0, 0)).toBe(0xffff_ffff);
    rig.write(0, 0, 1);
    expect(rig.fn.readConfig(0x90, 4)).toBe(0xffff_ffff);
    expect(rig.machine.broken.length).toBeGreaterThan(0);
  });
});

describe('the 64-bit window', () => {
  /** A machine with the given RAM and address bits. */
  const machineOf = (ramEnd: number, addressBits: number) => {
    const machine = new FakeMachine();
    const { ports, memoryBus: memory, services } = machine;
    Object.assign(machine, { chipset: new Chipset({ ports, memory, services, ramEnd, addressBits }) });
    return machine;
  };
  const cards = (machine: FakeMachine, count: number, bytes: number) =>
    Array.from({ length: count }, (_, index) => {
      const name = `gpu${index}`;
      return new PassedRig(graphicsCard(`0000:4${index}:00.0`, bytes), {}, { machine, name });
    });

  test('has twice the space for several graphics cards', () => {
    const machine = new FakeMachine();
    const rigs = cards(machine, 4, 64 * GiB);
    for (const rig of rigs) {
      expect(rig.bar(1).address! % (64 * GiB)).toBe(0);
      expect(rig.mapped(1)).toEqual([[0, 64 * GiB]]);
    }
    const { start, size } = machine.pci.memory64;
    const ends = rigs.map(rig => rig.bar(1).address! + 64 * GiB);
    expect(Math.max(...ends) - start).toBeLessThanOrEqual(size / 2);
    expect(start + size).toBeLessThanOrEqual(2 ** 40);
  });

  test('has an eighth of the address space without them', () => {
    expect(machineOf(6 * GiB, 39).pci.memory64).toMatchObject({ start: 8 * GiB, size: 64 * GiB });
    expect(machineOf(6 * GiB, 36).pci.memory64).toMatchObject({ start: 8 * GiB, size: 32 * GiB });
    expect(machineOf(48 * GiB, 36).pci.memory64).toMatchObject({ start: 48 * GiB, size: 16 * GiB });
    expect(machineOf(6 * GiB, 46).pci.memory64).toMatchObject({ start: 8 * GiB, size: 1024 * GiB });
  });

  test("ends at the CPU's address limit, and the error names the next step", () => {
    expect(() => cards(machineOf(6 * GiB, 36), 1, 64 * GiB)).toThrow(
      'has no room for 68719476736 bytes of "gpu0": the guest\'s CPU has 36 bits of physical addresses, and the window comes ' +
        'after its RAM: give the VM less memory, or remove a device',
    );
  });

  test('reaches devices behind root ports', () => {
    const machine = new FakeMachine();
    const port = new RootPort('port0', { slot: 1, allocateMsi: machine.services.allocateMsi });
    machine.pci.plug(port);
    const rig = new PassedRig(
      graphicsCard('0000:41:00.0', 32 * GiB),
      {},
      { machine, place: ({ pci }) => port.secondary.plug(pci!) },
    );
    expect([rig.bar(1).address! % (32 * GiB), rig.mapped(1)]).toEqual([0, [[0, 32 * GiB]]]);
  });
});

describe('functions of one device', () => {
  const pair = (options: Readonly<Record<string, unknown>>) => {
    const machine = new FakeMachine();
    const card = new PassedRig(graphicsCard('0000:41:00.0'), options, { machine, name: 'gpu' });
    new PassedRig('nvme', {}, { machine, name: 'disk' });
    const sound = new PassedRig(soundOfCard('0000:41:00.1'), options, { machine, name: 'sound' });
    return [card, sound].map(({ fn }) => machine.pci.addressOf(fn));
  };

  test('share a slot, as they do on the host', () => {
    expect(pair({ multifunction: true })).toEqual(['00:01.0', '00:01.1']);
    expect(pair({})).toEqual(['00:01.0', '00:03.0']);
  });

  test('report that they do', () => {
    const machine = new FakeMachine();
    const card = new PassedRig(
      graphicsCard('0000:41:00.0'),
      { multifunction: true },
      { machine, name: 'gpu' },
    );
    expect(card.fn.readConfig(0x0e, 1)).toBe(0);
    new PassedRig(soundOfCard('0000:41:00.1'), { multifunction: true }, { machine, name: 'sound' });
    expect(card.fn.readConfig(0x0e, 1)).toBe(0x80);
  });
});

describe('a graphics card as the VGA adapter', () => {
  test('responds at the legacy addresses while it decodes them', () => {
    const vga = { ...graphicsCard('0000:41:00.0'), vga: true };
    const rig = new PassedRig(vga, { 'x-vga': true });
    const { ports, memoryBus } = rig.machine;
    rig.command = COMMAND.memory | COMMAND.io;
    ports.write(0x3c4, 1, 0x01);
    expect(ports.read(0x3c4, 1)).toBe(0x01);
    memoryBus.write(0xb_8000, 2, 0x0741);
    expect(memoryBus.read(0xb_8000, 2)).toBe(0x0741);
    rig.command = 0;
    expect([ports.read(0x3c4, 1), memoryBus.read(0xb_8000, 2)]).toEqual([0xff, 0xffff]);
  });

  test('is rejected without such registers', () => {
    const machine = new FakeMachine();
    expect(() => new PassedRig(graphicsCard('0000:41:00.0'), { 'x-vga': true }, { machine })).toThrow(
      '0000:41:00.0 has no VGA registers that the host passes on (VFIO_PCI_VGA_REGION_INDEX): leave out x-vga',
    );
    expect(machine.hostDevices.opened.get('0000:41:00.0')!.closed).toBe(true);
    expect(vfioPci.type).toBe('vfio-pci');
  });
});
