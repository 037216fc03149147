import { describe, expect, test } from 'vitest';
import { atiCard } from '../made-devices.ts';
import { COMMAND, PassedRig } from '../passed-rig.ts';

const IDS = 0x6738_1002;
const MIRROR = 0x4000;

function started(options = { 'x-vga': true }, device = atiCard('0000:42:00.0')): PassedRig {
  const rig = new PassedRig(device, options);
  rig.start();
  rig.command |= COMMAND.io;
  return rig;
}

describe('the code in the ROM of an ATI card', () => {
  test('finds the configuration space in BAR 2', () => {
    const rig = started();
    expect(rig.read(2, MIRROR)).toBe(IDS);
    expect(rig.read(2, MIRROR + 0x20) & ~3).toBe(rig.bar(4).address);
    rig.write(2, MIRROR + 0x3c, 0x0a, 1);
    expect(rig.fn.readConfig(0x3c, 1)).toBe(0x0a);
    expect(rig.read(2, MIRROR + 0x100)).toBe(0);
    expect(rig.mapped(2)).toEqual([
      [0, MIRROR],
      [MIRROR + 0x1000, 0x1b000],
    ]);
  });

  test('finds it by ports of BAR 4', () => {
    const rig = started();
    rig.write(4, 0, MIRROR);
    expect(rig.read(4, 4)).toBe(IDS);
    expect(rig.read(4, 6, 2)).toBe(IDS >>> 16);
    rig.write(4, 0, MIRROR + 0x3c);
    rig.write(4, 4, 0x0b, 1);
    expect(rig.fn.readConfig(0x3c, 1)).toBe(0x0b);
    rig.write(4, 0, 0x5000);
    rig.write(4, 4, 0x1234_5678);
    expect(rig.read(4, 4)).toBe(0x1234_5678);
    expect(rig.read(4, 0)).toBe(0x5000);
    // Only a whole address selects.
    rig.write(4, 0, MIRROR, 2);
    expect(rig.read(4, 4)).toBe(0x1234_5678);
  });

  test('finds BAR 4 by a port of the VGA adapter', () => {
    const rig = started();
    const { address } = rig.bar(4);
    expect(rig.machine.ports.read(0x3c3, 1)).toBe(address! >>> 8);
    rig.machine.ports.write(0x3c3, 1, 1);
    expect(rig.host.contents[8]![0x3c3]).toBe(1);
    // Its neighbors are those of the device.
    rig.host.contents[8]!.set([0x11, 0x22], 0x3c1);
    expect(rig.machine.ports.read(0x3c1, 2)).toBe(0x2211);
    expect(rig.machine.ports.read(0x3c2, 2)).toBe(0x22 | ((address! >>> 8) << 8));
  });

  test('has no quirk registers without x-vga', () => {
    const rig = started({ 'x-vga': false });
    expect(rig.read(2, MIRROR)).toBe(0);
    expect(rig.mapped(2)).toEqual([[0, 0x2_0000]]);
    rig.write(4, 0, MIRROR);
    expect(rig.read(4, 4)).toBe(0);
  });

  test('of a card with a 32-bit BAR 2 finds other registers there', () => {
    const card = atiCard('0000:42:00.0');
    const line = Buffer.from(card.config['000']!, 'hex');
    line[0x18] = 0;
    const rig = started(
      { 'x-vga': true },
      { ...card, config: { ...card.config, '000': line.toString('hex') } },
    );
    expect(rig.bar(2).kind).toBe('memory32');
    expect(rig.read(2, MIRROR)).toBe(0);
  });
});
