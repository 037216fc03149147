import { expect, test } from 'vitest';
import { PciIds } from '../../../src/host/pci/pci-ids.ts';
import { pciIdsText } from '../trees/names.ts';

const ids = new PciIds(pciIdsText);

test('names vendors, devices, boards and classes', () => {
  expect(ids.vendor('8086')).toBe('Intel Corporation');
  expect(ids.device('8086', '10c9')).toBe('82576 Gigabit Network Connection');
  expect(ids.subsystem('8086', '10c9', '8086', 'a03c')).toBe('Gigabit ET Dual Port Server Adapter');
  expect(ids.className('010802')).toBe('Non-Volatile memory controller (NVM Express)');
  expect(ids.subclassName('020000')).toBe('Ethernet controller');
});

test('returns null for unknown ids', () => {
  expect(ids.vendor('ffff')).toBeNull();
  expect(ids.device('8086', 'ffff')).toBeNull();
  expect(ids.device('1022', '10c9')).toBeNull();
  expect(ids.className('ee0000')).toBeNull();
  expect(new PciIds('').vendor('8086')).toBeNull();
});

test('names contain no escape sequences', () => {
  const hostile = new PciIds('1234  Evil\u001b]0;title\u0007 \u202eVendor\n\t5678  \u009b31mRed\n');
  expect(hostile.vendor('1234')).toBe('Evil]0;title Vendor');
  expect(hostile.device('1234', '5678')).toBe('31mRed');
});
