import { describe, expect, test } from 'vitest';
import { HostBridge, type PamMode } from '../../../src/devices/chipset/host-bridge.ts';
import type { EcamPlace } from '../../../src/devices/pci/pci-host.ts';

function bridge() {
  const seen = { pam: [] as readonly PamMode[], ecam: null as EcamPlace | null };
  const made = new HostBridge({
    onPam: modes => {
      seen.pam = modes;
    },
    onEcam: place => {
      seen.ecam = place;
    },
  });
  return { made, seen };
}

const NEITHER = { read: false, write: false };

describe('the host bridge of a machine with firmware', () => {
  test('has the IDs that SeaBIOS and OVMF know', () => {
    const { made } = bridge();
    expect(made.readConfig(0x00, 4)).toBe(0x29c0_8086);
    expect(made.readConfig(0x2c, 4)).toBe(0x1100_1af4);
  });

  test('reports in its PAM registers which areas are RAM', () => {
    const { made, seen } = bridge();
    made.writeConfig(0x90, 1, 0xff);
    expect(made.readConfig(0x90, 1)).toBe(0x30);
    expect(seen.pam).toEqual([...new Array(12).fill(NEITHER), { read: true, write: true }]);
    // PAM3: the low half is 0xd0000, the high half 0xd4000.
    made.writeConfig(0x93, 1, 0x21);
    expect(seen.pam.slice(4, 6)).toEqual([
      { read: true, write: false },
      { read: false, write: true },
    ]);
    made.writeConfig(0x94, 4, 0x3333_3333);
    expect(made.readConfig(0x94, 4)).toBe(0x0033_3333);
    expect(seen.pam.slice(6, 12)).toEqual(new Array(6).fill({ read: true, write: true }));
    made.reset();
    expect(seen.pam).toEqual(new Array(13).fill(NEITHER));
  });

  test('has SMRAM closed, and cannot open it', () => {
    const { made } = bridge();
    made.writeConfig(0x9d, 1, 0x4a);
    expect(made.readConfig(0x9d, 1)).toBe(0x12);
    made.writeConfig(0x9e, 1, 0xff);
    expect(made.readConfig(0x9e, 1) & 1).toBe(0);
  });

  test.each([
    [0xb000_0001, 0, { start: 0xb000_0000, buses: 256 }],
    // The bits below a window's size do not count.
    [0xfc00_0001, 0, { start: 0xf000_0000, buses: 256 }],
    [0xe800_0003, 0, { start: 0xe800_0000, buses: 128 }],
    [0xe400_0005, 1, { start: 0x1_e400_0000, buses: 64 }],
    [0xe000_0007, 0, null],
    [0xe000_0000, 0, null],
  ])('places the configuration space at 0x%x, 0x%x', (low, high, place) => {
    const { made, seen } = bridge();
    made.writeConfig(0x64, 4, high);
    made.writeConfig(0x60, 4, low);
    expect(seen.ecam).toEqual(place);
  });

  test('applies a loaded state', () => {
    const { made } = bridge();
    made.writeConfig(0x60, 4, 0xb000_0001);
    made.writeConfig(0x90, 4, 0x3333_3330);
    const { made: other, seen } = bridge();
    other.load(made.save());
    expect(seen.ecam).toEqual({ start: 0xb000_0000, buses: 256 });
    expect(seen.pam).toEqual(made.pamModes);
  });
});
