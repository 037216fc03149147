import { describe, expect, test } from 'vitest';
import type { BootKind } from '../../../src/devices/boot-device.ts';
import { addNetworkRom, ipxeRom } from '../../../src/devices/pci/option-rom.ts';
import { PciFunction } from '../../../src/devices/pci/pci-function.ts';
import { FakeMachine } from '../../support/fake-machine.ts';
import { networkRom } from '../../support/network-rom.ts';

const IPXE = ipxeRom('virtio');
const DEBIAN = '/usr/lib/ipxe/qemu/pxe-virtio.rom';

function card(
  bootsFrom: readonly BootKind[] | null,
  options: object = {},
  file: string | null = DEBIAN,
  kind: 'bios' | 'uefi' = 'bios',
  rom = networkRom(),
) {
  const machine = new FakeMachine();
  if (file !== null) machine.files.set(file, rom);
  const fn = new PciFunction('net0', { vendor: 0x1af4, device: 0x1041, revision: 1, classCode: 0x020000 });
  const services = { ...machine.services, firmware: bootsFrom && { kind, bootsFrom } };
  addNetworkRom(fn, services, { rombar: true, ...options }, IPXE);
  machine.pci.plug(fn);
  /** What the guest finds where it places the ROM; null: there is none. */
  const shown = () => {
    fn.writeConfig(0x30, 4, 0xc000_0001);
    fn.writeConfig(0x04, 2, 2);
    if (fn.readConfig(0x30, 4) === 0) return null;
    return Uint8Array.from({ length: 512 }, (_, at) => machine.memoryBus.read(0xc000_0000 + at, 1));
  };
  return { machine, shown };
}

describe('a network card', () => {
  test('has the iPXE ROM, with its own IDs, if firmware boots from it', () => {
    for (const { shown } of [card(['disk', 'network']), card([], { bootindex: 3 })]) {
      const bytes = Buffer.from(shown()!);
      expect(bytes.readUInt32LE(0x44)).toBe(0x1041_1af4);
      expect(bytes.reduce((sum, byte) => sum + byte, 0) & 0xff).toBe(0);
    }
  });

  test("has its own IDs even if the file has none, like Debian's for ne2k_pci", () => {
    const { shown } = card(['network'], {}, DEBIAN, 'bios', networkRom(0, 0));
    const bytes = Buffer.from(shown()!);
    expect(bytes.readUInt32LE(0x44)).toBe(0x1041_1af4);
    expect(bytes.reduce((sum, byte) => sum + byte, 0) & 0xff).toBe(0);
  });

  test('has the UEFI image if UEFI boots', () => {
    const uefi = DEBIAN.replace('pxe-', 'efi-');
    expect(card(['network'], {}, uefi, 'uefi').shown()).not.toBeNull();
    expect(card(['network'], {}, uefi).shown()).not.toBeNull();
    expect(card(['network'], {}, DEBIAN, 'uefi').shown()).toBeNull();
  });

  test('has no ROM otherwise', () => {
    expect(card(null, { bootindex: 1 }).shown()).toBeNull();
    expect(card(['disk']).shown()).toBeNull();
    expect(card(['network'], { rombar: false }).shown()).toBeNull();
    expect(card(['network'], { romfile: '' }).shown()).toBeNull();
  });

  test('has the ROM of its options, whatever boots', () => {
    const { machine, shown } = card(null, { romfile: '/srv/my.rom' }, '/srv/my.rom');
    expect(shown()).toEqual(new Uint8Array(networkRom()));
    expect(machine.warnings).toEqual([expect.stringMatching(/net0: .*ROM of a 1af4:1000.*1af4:1041/)]);
    expect(() => card(null, { romfile: '/srv/other.rom' })).toThrow(/other.rom/);
  });

  test('names the missing package', () => {
    const { machine, shown } = card(['network'], {}, null);
    expect(shown()).toBeNull();
    expect(machine.warnings).toEqual([expect.stringMatching(/net0: .*package ipxe-qemu/)]);
  });
});
