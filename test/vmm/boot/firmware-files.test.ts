import { expect, test } from 'vitest';
import { firmwareFile } from '../../../src/vmm/boot/firmware-files.ts';

test('firmware is where distributions put it, or where the user says', () => {
  const fedora = '/usr/share/qemu/bios-256k.bin';
  expect(firmwareFile({ firmware: 'bios' }, path => path === fedora)).toBe(fedora);
  expect(firmwareFile({ firmware: 'bios' }, () => true)).toBe('/usr/share/seabios/bios-256k.bin');
  expect(firmwareFile({ firmware: 'bios', path: '/srv/bios.bin' }, () => true)).toBe('/srv/bios.bin');
  expect(() => firmwareFile({ firmware: 'bios' }, () => false)).toThrow(/no SeaBIOS.*package seabios/);
});
