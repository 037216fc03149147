import { expect, test } from 'vitest';
import { moduleRow } from '../../../src/devices/modules/module-row.ts';
import { PciFunction } from '../../../src/devices/pci/pci-function.ts';
import { deviceTable } from '../../../src/devices/registry.ts';
import { FakeMachine } from '../../support/fake-machine.ts';

const FILE = '/home/me/echo.ts';
const device = { name: 'echo0', reset: () => {}, save: () => ({}), load: () => {} };
const pci = () => new PciFunction('echo0', { vendor: 1, device: 2, revision: 0, classCode: 0xff0000 });
const ECHO = {
  type: 'echo',
  title: 'echo device',
  description: 'returns what it is sent',
  bus: 'pci',
  options: { delay: { kind: 'number', default: 5, description: 'milliseconds' } },
  create: () => ({ device, pci: pci() }),
};

const create = (module: unknown, entry: Record<string, unknown> = {}) =>
  moduleRow(module, FILE).create(new FakeMachine().services, { type: 'echo', ...entry }, 'echo0');

test('a module becomes a row of the table, with options in QEMU syntax', () => {
  const row = moduleRow(ECHO, FILE);
  expect(row).toMatchObject({ type: 'echo', prefix: 'echo', bus: 'pci' });
  expect(row.qemu).toEqual({ devices: ['echo'], properties: { delay: 'delay' } });
  expect(deviceTable.with(row).find('echo')).toBe(row);
  expect(() => deviceTable.with(row, row)).toThrow('there are two devices of type "echo"');
});

test('options are checked before the device is created, and errors name the module', () => {
  let got: unknown;
  const module = {
    ...ECHO,
    create: (_: unknown, options: unknown) => {
      got = options;
      return { device, pci: pci() };
    },
  };
  create(module, { delay: '7', name: 'echo0' });
  expect(got).toEqual({ delay: 7 });
  expect(() => create(module, { delay: 'x' })).toThrow('echo: option "delay" takes a whole number');
});

test.each([
  [undefined, 'its default export must be the result of defineDevice({ ... })'],
  [{ ...ECHO, type: 7 }, '"type" must be a text'],
  [{ ...ECHO, type: 'Echo' }, '"type" must have lowercase letters, digits and "-" only'],
  [{ ...ECHO, title: undefined }, '"title" must be a text'],
  [{ ...ECHO, prefix: '0' }, '"prefix" must be such that a device name starts with a letter'],
  [{ ...ECHO, bus: 'usb' }, '"bus" must be one of pci, isa'],
  [{ ...ECHO, options: 7 }, '"options" must be an object'],
  [{ ...ECHO, options: { a: null } }, '"kind" of option "a" must be one of number, size'],
  [{ ...ECHO, options: { a: { kind: 'float' } } }, '"kind" of option "a" must be one of number, size'],
  [{ ...ECHO, options: { a: { kind: 'choice' } } }, '"values" of option "a" must list its choices'],
  [{ ...ECHO, options: { bus: { kind: 'text' } } }, 'option "bus" is one of every device: rename it'],
  [{ ...ECHO, create: null }, '"create" must be a function'],
])('rejects %j as a module', (module, problem) => {
  expect(() => moduleRow(module, FILE)).toThrow(`${FILE} is not a device module: ${problem}`);
});

test.each([
  [{}, 'must return { device, ... }'],
  [{ device: { ...device, load: undefined }, pci: pci() }, 'returned a device without save() or load()'],
  [{ device }, 'must return its PCI function as "pci"'],
])('the return value of create() is checked', (built, problem) => {
  expect(() => create({ ...ECHO, create: () => built })).toThrow(`${FILE}: create() of echo ${problem}`);
  expect(() => create({ ...ECHO, bus: 'isa', create: () => ({ device }) })).toThrow(
    'must return its port ranges as "ports"',
  );
});
