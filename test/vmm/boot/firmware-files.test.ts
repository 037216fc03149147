import { expect, test } from 'vitest';
import { firmwareFile, namedFirmware, variablesTemplate } from '../../../src/vmm/boot/firmware-files.ts';

test('finds firmware where distributions install it, or where the user says', () => {
  const fedora = '/usr/share/qemu/bios-256k.bin';
  expect(firmwareFile({ firmware: 'bios' }, path => path === fedora)).toBe(fedora);
  expect(firmwareFile({ firmware: 'bios' }, () => true)).toBe('/usr/share/seabios/bios-256k.bin');
  expect(firmwareFile({ firmware: 'bios', path: '/srv/bios.bin' }, () => true)).toBe('/srv/bios.bin');
  expect(() => firmwareFile({ firmware: 'bios' }, () => false)).toThrow(/no SeaBIOS.*package seabios/);
});

test('accepts firmware by kind, project or file name', () => {
  for (const name of ['bios', 'seabios', 'SeaBIOS'])
    expect(namedFirmware(name)).toEqual({ firmware: 'bios' });
  for (const name of ['uefi', 'ovmf', 'OVMF']) expect(namedFirmware(name)).toEqual({ firmware: 'uefi' });
  expect(namedFirmware('/srv/OVMF.fd')).toEqual({ firmware: 'uefi', path: '/srv/OVMF.fd' });
  expect(namedFirmware('./rom')).toEqual({ firmware: 'bios', path: './rom' });
});

test('finds the variables template of UEFI firmware', () => {
  const debian = ['/usr/share/OVMF/OVMF_CODE_4M.fd', '/usr/share/OVMF/OVMF_VARS_4M.fd'];
  const exists = (path: string) => debian.includes(path);
  const code = firmwareFile({ firmware: 'uefi' }, exists);
  expect([code, variablesTemplate({}, code, exists)]).toEqual(debian);
  expect(variablesTemplate({}, '/srv/OVMF.fd', exists)).toBeNull();
  expect(() => firmwareFile({ firmware: 'uefi' }, () => false)).toThrow(/no OVMF.*package ovmf/);
  expect(() => firmwareFile({ firmware: 'uefi', path: '/srv/OVMF_CODE_4M.ms.fd' }, exists)).toThrow(
    /needs SMM/,
  );
});

test('selects firmware with Secure Boot without SMM, and variables with its keys', () => {
  const wanted = { firmware: 'uefi', secureBoot: true } as const;
  const keys = '/usr/share/OVMF/OVMF_VARS_4M.ms.fd';
  const exists = (path: string) => [keys, '/usr/share/OVMF/OVMF_CODE_4M.fd'].includes(path);
  expect(firmwareFile(wanted, exists)).toBe('/usr/share/OVMF/OVMF_CODE_4M.fd');
  expect(variablesTemplate(wanted, '/usr/share/OVMF/OVMF_CODE_4M.fd', exists)).toBe(keys);
  expect(() => firmwareFile(wanted, path => path !== keys)).toThrow(/Secure Boot needs UEFI firmware/);
});
