import { describe, expect, test } from 'vitest';
import { QUIRKS, quirksOf } from '../../../../src/devices/vfio/quirks/quirks.ts';
import { FakeMachine } from '../../../support/fake-machine.ts';
import { broadcomNic } from '../made-devices.ts';
import { PassedRig } from '../passed-rig.ts';

describe('the table of quirks', () => {
  test.each(QUIRKS)('$name has a reason and a source', ({ why, source, apply, unreadableRom }) => {
    expect(why).toMatch(/^[a-zA-Z].{10,}[^.]$/);
    expect(source).not.toBe('');
    expect(apply !== undefined || unreadableRom === true).toBe(true);
  });

  test('affects few devices', () => {
    expect(quirksOf({ vendor: 0x8086, device: 0x10ca, classCode: 0x020000 })).toEqual([]);
    expect(quirksOf({ vendor: 0x10ec, device: 0x8168, classCode: 0x020000 })).toHaveLength(1);
    // A 3D controller has no connectors.
    expect(quirksOf({ vendor: 0x10de, device: 0x2330, classCode: 0x030200 })).toHaveLength(1);
    expect(quirksOf({ vendor: 0x10de, device: 0x22ba, classCode: 0x040300 })).toEqual([]);
    expect(quirksOf({ vendor: 0x1002, device: 0x731f, classCode: 0x030000 })).toHaveLength(2);
  });
});

describe('an expansion ROM that must not be read', () => {
  const rom = Buffer.alloc(1024);
  rom.writeUInt16LE(0xaa55, 0);
  rom.writeUInt16LE(0x20, 0x18);
  rom.write('PCIR', 0x20);
  rom.writeUInt16LE(0x14e4, 0x24);
  rom.writeUInt16LE(0x168e, 0x26);
  rom.writeUInt16LE(2, 0x30);
  rom[0x35] = 0x80;
  const address = '0000:44:00.0';
  const withRom = { prepare: ({ contents }: { contents: readonly Uint8Array[] }) => contents[6]!.set(rom) };
  const hasRom = (rig: PassedRig) => rig.fn.bars.some(({ index }) => index === 6);

  test('is hidden, and the log says why', () => {
    const rig = new PassedRig(broadcomNic(address), {}, withRom);
    expect(hasRom(rig)).toBe(false);
    expect(rig.machine.warnings).toEqual([
      'device hostdev0: its expansion ROM is not shown to the guest (reading it stops the device, and blocks the reader): give romfile to have one',
    ]);
    expect(new PassedRig(broadcomNic(address), { rombar: false }, withRom).machine.warnings).toEqual([]);
  });

  test("may come from a file; another device's ROM is read", () => {
    const romfile = '/boot.rom';
    const machine = new FakeMachine();
    machine.files.set(romfile, rom);
    expect(hasRom(new PassedRig(broadcomNic(address), { romfile }, { machine, ...withRom }))).toBe(true);
    const card = broadcomNic(address);
    const other = card.config['000']!.replace(/^e4148e16/, 'e4148f16');
    const rig = new PassedRig({ ...card, config: { ...card.config, '000': other } }, {}, withRom);
    expect(hasRom(rig)).toBe(true);
  });
});
