import { describe, expect, test } from 'vitest';
import { graphicsCard, olderNvidiaCard, soundOfCard } from '../made-devices.ts';
import { COMMAND, PassedRig } from '../passed-rig.ts';

const ADDRESS = '0000:41:00.0';
const MIRROR = 0x8_8000;
const LEGACY_MIRROR = 0x1800;
const MSI = 0x68;
const PAGE = 0x1000;

const bytes = (rig: PassedRig, bar: number, at: number, count: number) => [
  ...rig.host.contents[bar]!.subarray(at, at + count),
];

describe('registers in BAR 0 of an NVIDIA card', () => {
  const started = () => {
    const rig = new PassedRig(graphicsCard(ADDRESS));
    rig.start();
    return rig;
  };

  test('show the configuration space that the guest sees', () => {
    const rig = started();
    for (let at = 0; at < 0x1000; at += 4)
      expect(rig.read(0, MIRROR + at), `register 0x${at.toString(16)}`).toBe(rig.fn.readConfig(at, 4));
    // Not the BARs of the host, which are 0 here, and not its capabilities.
    expect(rig.read(0, MIRROR + 0x14) & ~0xf).toBe(rig.bar(1).address! % 2 ** 32);
    expect(rig.read(0, MIRROR + 0xbb0, 2)).not.toBe(0x0015);
  });

  test('change it, and nothing on the host', () => {
    const rig = started();
    rig.write(0, MIRROR + 0x3c, 0x5a, 1);
    expect(rig.fn.readConfig(0x3c, 1)).toBe(0x5a);
    expect(bytes(rig, 0, MIRROR + 0x3c, 1)).toEqual([0]);
    rig.write(0, MIRROR + COMMAND.register, 0, 2);
    expect(rig.command).toBe(0);
    expect(rig.bar(0).address).toBeNull();
  });

  test('acknowledge an interrupt', () => {
    const rig = started();
    rig.write(0, MIRROR + MSI, 0xff, 1);
    expect(bytes(rig, 0, MIRROR + MSI, 4)).toEqual([0xff, 0, 0, 0]);
    expect(rig.fn.readConfig(MSI, 1)).toBe(0x05);
    // Enabling MSI is not such a write.
    rig.write(0, MIRROR + MSI + 2, 0x0081, 2);
    rig.write(0, MIRROR + MSI, 0x0081_7805, 4);
    expect(bytes(rig, 0, MIRROR + MSI, 4)).toEqual([0xff, 0, 0, 0]);
  });

  test('are accessed directly except for their page', () => {
    const [before, after] = started().mapped(0);
    expect(before).toEqual([0, MIRROR]);
    expect(after![0]).toBe(MIRROR + PAGE);
  });

  test("are the device's own in its sound function, and in other vendors' cards", () => {
    const sound = new PassedRig({ ...soundOfCard(ADDRESS), bars: [2 ** 24, 0, 0, 0, 0, 0] });
    sound.start();
    expect(sound.read(0, MIRROR)).toBe(0);
    const igb = new PassedRig('igb');
    igb.start();
    expect(igb.read(0, LEGACY_MIRROR)).toBe(0);
  });
});

describe('the code in the ROM of an NVIDIA card', () => {
  const started = (options = { 'x-vga': true }) => {
    const rig = new PassedRig(olderNvidiaCard(ADDRESS), options);
    rig.start();
    rig.command |= COMMAND.io;
    return rig;
  };

  test('finds the configuration space at its older location, with x-vga', () => {
    const rig = started();
    expect(rig.read(0, LEGACY_MIRROR)).toBe(0x13c2_10de);
    expect(rig.read(0, LEGACY_MIRROR + 0x100)).toBe(0);
    expect(rig.mapped(0)[0]).toEqual([0, PAGE]);
    expect(started({ 'x-vga': false }).read(0, LEGACY_MIRROR)).toBe(0);
  });

  test('reaches it by ports of BAR 5 once both switches are on', () => {
    const rig = started();
    const [master, enable, address, data] = [0x0, 0x4, 0x8, 0xc];
    rig.write(5, address, LEGACY_MIRROR);
    rig.write(5, master, 1);
    expect(rig.read(5, data)).toBe(0);
    rig.write(5, enable, 1);
    expect(rig.read(5, data)).toBe(0x13c2_10de);
    rig.write(5, address, MIRROR + 0x3c);
    rig.write(5, data, 0x0b, 1);
    expect(rig.fn.readConfig(0x3c, 1)).toBe(0x0b);
    // Other accesses reach the device.
    rig.write(5, address, 0x100);
    rig.write(5, data, 0x1234_5678);
    expect(bytes(rig, 5, 0, 16)).toEqual([1, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0x78, 0x56, 0x34, 0x12]);
    rig.write(5, address, LEGACY_MIRROR);
    rig.write(5, master, 0);
    expect(rig.read(5, data)).toBe(0x1234_5678);
  });

  test('reaches it by ports of the VGA adapter', () => {
    const rig = started();
    const { ports } = rig.machine;
    const [argument, command] = [0x3d0, 0x3d4];
    const select = (address: number) => {
      ports.write(command, 2, 0x338);
      ports.write(argument, 4, address);
    };
    select(LEGACY_MIRROR);
    ports.write(command, 2, 0x538);
    expect(ports.read(argument, 4)).toBe(0x13c2_10de);
    // One at a time.
    expect(ports.read(argument, 4)).toBe(LEGACY_MIRROR);
    select(LEGACY_MIRROR + 0x3c);
    ports.write(command, 2, 0x738);
    ports.write(argument, 1, 0x0c);
    expect(rig.fn.readConfig(0x3c, 1)).toBe(0x0c);
    // Something in between, another register, and another order.
    select(LEGACY_MIRROR);
    ports.read(command, 2);
    ports.write(command, 2, 0x538);
    expect(ports.read(argument, 4)).toBe(LEGACY_MIRROR);
    select(0x100);
    ports.write(command, 2, 0x538);
    expect(ports.read(argument, 4)).toBe(0x100);
  });

  test('finds nothing on a host without such registers', () => {
    expect(() => new PassedRig(graphicsCard(ADDRESS), { 'x-vga': true })).toThrow('leave out x-vga');
  });
});
