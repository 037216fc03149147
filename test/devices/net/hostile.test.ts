import { describe, expect, test } from 'vitest';
import { ne2kIsa, ne2kPci } from '../../../src/devices/net/ne2k/rows.ts';
import { pcnet } from '../../../src/devices/net/pcnet/row.ts';
import { rtl8139 } from '../../../src/devices/net/rtl8139/row.ts';
import { BROADCAST_BYTES, frameTo, ipFrame, MAC_BYTES, NicRig } from '../../support/nic-rig.ts';
import { Random } from '../../support/random.ts';

const RAM = 0x4_0000;
const ROUNDS = 6000;

/** Registers that start or place rings, and values that start them: garbage alone rarely does. */
const CARDS = [
  {
    row: rtl8139,
    offsets: [0x37, 0x10, 0x20, 0x30, 0x38, 0x3c, 0x44, 0xd9, 0xe0, 0xe4],
    likely: [0x0c, 0x40, 0x03, 0x0f],
  },
  {
    row: ne2kPci,
    offsets: [0x00, 0x01, 0x02, 0x03, 0x04, 0x07, 0x0c, 0x0d, 0x10],
    likely: [0x22, 0x26, 0x62, 0x40, 0x80, 0x1f],
  },
  {
    row: ne2kIsa,
    offsets: [0x00, 0x01, 0x02, 0x03, 0x04, 0x07, 0x0c, 0x0d, 0x10],
    likely: [0x0a, 0x12, 0x1a, 0x26, 0x46],
  },
  {
    row: pcnet,
    offsets: [0x10, 0x12, 0x16, 0x10, 0x12],
    likely: [0, 1, 2, 3, 4, 5, 15, 20, 24, 30, 76, 78, 0x43, 0x48],
  },
] as const;

/** Memory in which anything may be a valid or invalid descriptor. */
function fillMemory(rig: NicRig, random: Random): void {
  for (let at = 0; at < RAM; at += 4) {
    const word = random.pick([0, 0x8000_0000, 0xf000_0000, 0xffff_ffff, random.below(RAM), random.u32()]);
    rig.memory.writeU32(at, word >>> 0);
  }
}

describe.each(CARDS)('$row.type', ({ row, offsets, likely }) => {
  test.each([1, 2, 3, 4])('survives a hostile driver (%i)', seed => {
    const random = new Random(seed);
    const rig = new NicRig(row, {}, RAM);
    fillMemory(rig, random);
    for (let round = 0; round < ROUNDS; round++) {
      const offset = random.below(4) > 0 ? random.pick(offsets) : random.below(32);
      const size = random.pick([1, 2, 4] as const);
      const value = random.pick([random.pick(likely), random.pick(likely), random.below(RAM), random.u32()]);
      if (random.below(4) === 0) rig.in(offset, size);
      else rig.out(offset, size, size === 4 ? value >>> 0 : value & (size === 2 ? 0xffff : 0xff));
      if (random.below(8) === 0) {
        const target = random.pick([MAC_BYTES, BROADCAST_BYTES]);
        rig.port.receive(
          random.pick([
            frameTo(target, 14 + random.below(2000)),
            ipFrame('tcp', random.below(1460)),
            new Uint8Array(),
          ]),
        );
      }
      if (random.below(32) === 0) rig.port.room = random.pick([0, 1, 1000]);
      if (random.below(32) === 0) rig.port.drain();
      if (random.below(16) === 0) rig.machine.clock.advance(1 + random.below(5));
      if (random.below(500) === 0) fillMemory(rig, random);
    }
    expect(rig.port.sent.every(({ length }) => length <= 65_557 + 4)).toBe(true);
  });

  test('interrupts or sends for such a driver', () => {
    const random = new Random(9);
    const rig = new NicRig(row, {}, RAM);
    let interrupts = 0;
    for (let round = 0; round < 4 * ROUNDS; round++) {
      const offset = random.pick(offsets);
      rig.out(offset, random.pick([1, 2] as const), random.pick(likely));
      if (random.below(4) === 0) rig.port.receive(frameTo(BROADCAST_BYTES));
      if (rig.interrupts) interrupts++;
    }
    expect(interrupts + rig.port.sent.length).toBeGreaterThan(0);
  });
});
