import { expect, test } from 'vitest';
import {
  compareAddresses,
  formatAddress,
  parseAddress,
  resolveAddress,
} from '../../../src/host/pci/address.ts';

const known = ['0000:02:00.0', '0000:3b:0a.1', '0001:02:00.0', '10000:e1:00.0'];

test('parses and formats addresses, including wide domains', () => {
  expect(parseAddress('10000:e1:1f.7')).toEqual({ domain: 0x10000, bus: 0xe1, device: 0x1f, function: 7 });
  expect(formatAddress({ domain: 0, bus: 2, device: 0x1f, function: 3 })).toBe('0000:02:1f.3');
  for (const bad of ['02:00.0', '0000:02:20.0', '0000:02:00.8', '0000:02:00', 'x']) {
    expect(parseAddress(bad)).toBeNull();
  }
});

test('a short address is accepted if only one function matches', () => {
  expect(resolveAddress('3b:0a.1', known)).toBe('0000:3b:0a.1');
  expect(resolveAddress('3B:A.1', known)).toBe('0000:3b:0a.1');
  expect(resolveAddress('e1:0.0', known)).toBe('10000:e1:00.0');
  expect(resolveAddress('0001:02:00.0', known)).toBe('0001:02:00.0');
});

test('refuses ambiguous, unknown and invalid addresses with a message', () => {
  expect(() => resolveAddress('02:00.0', known)).toThrow('use one of 0000:02:00.0, 0001:02:00.0');
  expect(() => resolveAddress('05:00.0', known)).toThrow('no PCI function 05:00.0');
  expect(() => resolveAddress('eth0', known)).toThrow('"eth0" is not a PCI address');
});

test('sorts wide domains last', () => {
  expect([...known].reverse().sort(compareAddresses)).toEqual(known);
});
