import { describe, expect, test } from 'vitest';
import { checkRom, withIds } from '../../../src/devices/pci/expansion-rom.ts';
import { FakeMachine } from '../../support/fake-machine.ts';
import { PassedRig } from './passed-rig.ts';

const ROM = 0x30;
const E1000E = { vendor: 0x8086, device: 0x10d3 };

/** A ROM of one image for a PC. */
function rom(ids = E1000E, size = 1024): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, 0xaa55, true);
  bytes[2] = size / 512;
  view.setUint16(0x18, 0x40, true);
  bytes.set(Buffer.from('PCIR'), 0x40);
  view.setUint16(0x44, ids.vendor, true);
  view.setUint16(0x46, ids.device, true);
  view.setUint16(0x50, size / 512, true);
  bytes[0x55] = 0x80;
  bytes[6] = -bytes.reduce((sum, byte) => sum + byte, 0) & 0xff;
  return bytes;
}

const sum = (bytes: Uint8Array) => bytes.reduce((total, byte) => total + byte, 0) & 0xff;

const withRom = (options = {}, machine = new FakeMachine()) =>
  new PassedRig('e1000e', options, { machine, prepare: ({ contents }) => contents[6]!.set(rom()) });

describe('the ROM of a device', () => {
  test('is read once, while it decodes memory, and shown from RAM', () => {
    const rig = withRom();
    rig.fn.writeConfig(ROM, 4, 0xffff_f800);
    expect(rig.fn.readConfig(ROM, 4)).toBe(0xfffc_0000);
    rig.fn.writeConfig(ROM, 4, 0xd000_0001);
    rig.host.contents[6]!.fill(0);
    const { memoryBus } = rig.machine;
    expect(memoryBus.read(0xd000_0000, 2)).toBe(0xaa55);
    memoryBus.write(0xd000_0000, 2, 0);
    expect(memoryBus.read(0xd000_0000, 2)).toBe(0xaa55);
    expect(rig.device.facts.bars.at(-1)).toMatchObject({
      index: 6,
      kind: 'rom',
      size: 262144,
      address: '0xd0000000',
    });
    expect(rig.host.config[4]! & 2).toBe(2);
  });

  test('is hidden if it is invalid, or if the definition says so', () => {
    for (const rig of [new PassedRig('e1000e'), withRom({ rombar: false })]) {
      rig.fn.writeConfig(ROM, 4, 0xffff_ffff);
      expect(rig.fn.readConfig(ROM, 4)).toBe(0);
    }
  });

  test('has the IDs that the guest sees', () => {
    const rig = withRom({ 'x-pci-device-id': 0x1234 });
    rig.fn.writeConfig(ROM, 4, 0xd000_0001);
    expect(rig.machine.memoryBus.read(0xd000_0044, 4)).toBe(0x1234_8086);
    const changed = withIds(rom(), { vendor: 1, device: 2 }, E1000E);
    expect([sum(rom()), sum(changed)]).toEqual([0, 0]);
  });
});

describe('a ROM file', () => {
  test("replaces the device's ROM", () => {
    const machine = new FakeMachine();
    machine.files.set('/roms/pxe.rom', rom(E1000E, 2048));
    const rig = withRom({ romfile: '/roms/pxe.rom' }, machine);
    rig.fn.writeConfig(ROM, 4, 0xd000_0001);
    expect([machine.memoryBus.read(0xd000_0002, 1), rig.bar(6).size]).toEqual([4, 4096]);
    expect(machine.warnings).toEqual([]);
  });

  test('that is for another device is shown with a warning', () => {
    const machine = new FakeMachine();
    machine.files.set('/roms/other.rom', rom({ vendor: 0x10de, device: 0x2330 }));
    withRom({ romfile: '/roms/other.rom' }, machine);
    expect(machine.warnings).toEqual([
      'device hostdev0: /roms/other.rom is the ROM of a 10de:2330, and the guest sees a 8086:10d3: its firmware will not run it',
    ]);
  });

  test.each([
    ['nothing', new Uint8Array()],
    ['a text', new TextEncoder().encode('#!/bin/sh\n'.repeat(100))],
    ['a ROM without a data structure', Uint8Array.of(0x55, 0xaa, 1, ...new Array(509).fill(0))],
    ['a data structure behind its end', rom().fill(0xff, 0x18, 0x1a)],
  ])('that is %s is rejected, and the device given back', (_what, bytes) => {
    const machine = new FakeMachine();
    machine.files.set('/roms/bad.rom', bytes);
    expect(() => withRom({ romfile: '/roms/bad.rom' }, machine)).toThrow(
      '/roms/bad.rom is not an expansion ROM: it has no PCI data structure (signatures 55 AA and PCIR)',
    );
    expect(machine.hostDevices.opened.get('0000:03:00.0')!.closed).toBe(true);
  });

  test('that is truncated is shown with a warning', () => {
    const { warnings } = checkRom('cut.rom', rom(E1000E, 2048).subarray(0, 600), E1000E);
    expect(warnings).toEqual(['cut.rom is truncated: it ends before its first image does']);
  });
});
