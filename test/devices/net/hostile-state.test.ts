import { describe, expect, test } from 'vitest';
import type { DeviceState } from '../../../src/devices/device.ts';
import { e1000 } from '../../../src/devices/net/e1000/row.ts';
import { e1000e } from '../../../src/devices/net/e1000e/row.ts';
import { i82551 } from '../../../src/devices/net/i8255x/rows.ts';
import { ne2kPci } from '../../../src/devices/net/ne2k/rows.ts';
import { pcnet } from '../../../src/devices/net/pcnet/row.ts';
import { rtl8139 } from '../../../src/devices/net/rtl8139/row.ts';
import { DeviceStateError } from '../../../src/devices/state.ts';
import { BROADCAST_BYTES, frameTo, ipFrame, MAC_BYTES, NicRig } from '../../support/nic-rig.ts';
import { Random } from '../../support/random.ts';

const ROUNDS = 80;
const ACCESSES = 400;

type Value = DeviceState[string];

/** A state with some of its values replaced by others of the same kind. */
function damaged(state: DeviceState, random: Random): DeviceState {
  const other = (value: Value): Value => {
    if (value instanceof Uint8Array) {
      const bytes = value.slice();
      if (random.below(3) > 0) return bytes;
      const byte = random.pick([0xff, null]);
      return bytes.map(old => (random.below(4) === 0 ? old : (byte ?? random.below(256))));
    }
    if (Array.isArray(value)) return value.map(other) as Value;
    if (typeof value === 'object' && value !== null) return damaged(value as DeviceState, random);
    if (random.below(4) > 0) return value;
    if (typeof value === 'number') return random.pick([0, 1, 0x7fff, 0xffff, 2 ** 31, random.u32()]);
    return typeof value === 'boolean' ? !value : value;
  };
  return Object.fromEntries(Object.entries(state).map(([key, value]) => [key, other(value)]));
}

/** A guest that uses the card whatever its registers contain. */
function drive(rig: NicRig, random: Random): void {
  for (let access = 0; access < ACCESSES; access++) {
    for (const { address, space, size } of rig.built.pci!.bars) {
      if (address === null) continue;
      const at = address + 4 * random.below(Math.min(size, 0x6000) / 4);
      const bus = space === 'port' ? rig.machine.ports : rig.machine.memoryBus;
      if (random.below(3) === 0) bus.write(at, 4, random.pick([0, 2, 0x8000, random.u32()]));
      const value = bus.read(at, 4);
      expect(value >= 0 && value <= 0xffff_ffff && Number.isInteger(value), `${value}`).toBe(true);
    }
    if (random.below(8) === 0)
      rig.port.receive(
        random.pick([frameTo(BROADCAST_BYTES, 1400), frameTo(MAC_BYTES), ipFrame('tcp', 1000)]),
      );
    if (random.below(8) === 0) rig.machine.clock.advance(1 + random.below(3));
  }
}

describe.each([e1000, e1000e, i82551, rtl8139, pcnet, ne2kPci])('$type', row => {
  test.each([1, 2])('rejects a hostile state, or treats it like one caused by a driver (%i)', seed => {
    const random = new Random(seed);
    const rig = new NicRig(row, {}, 0x4_0000);
    for (let at = 0; at < 0x4_0000; at += 4) rig.memory.writeU32(at, random.below(0x4_0000));
    drive(rig, random);
    rig.quiesce();
    const state = rig.built.device.save();
    let loaded = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const other = new NicRig(row, {}, 0x4_0000);
      other.quiesce();
      try {
        other.built.device.load(damaged(state, random));
      } catch (error) {
        expect(error).toBeInstanceOf(DeviceStateError);
        continue;
      }
      loaded++;
      other.built.device.resume?.();
      drive(other, random);
      // Its resulting state can be saved and loaded again.
      other.quiesce();
      const last = new NicRig(row, {}, 0x4_0000);
      last.quiesce();
      last.machine.clock.advance(Number(other.machine.clock.now()) / 1e6);
      last.built.device.load(other.built.device.save());
    }
    expect(loaded).toBeGreaterThan(0);
  });
});
