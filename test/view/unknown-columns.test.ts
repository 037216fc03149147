import { expect, test } from 'vitest';
import { filterRemark, noMatchText, unknownColumn } from '../../src/view/unknown-columns.ts';

test.each([
  ['vms', 'driver:vfio', 'driver'],
  ['vms', 'state:off !driver=nvme', 'driver'],
  ['vms', 'web cpuu>50', 'cpuu'],
  ['pci', 'cpu>50', 'cpu'],
  ['log', 'state:off', 'state'],
] as const)('on the list %s, %s names an unknown column: %s', (list, filter, column) => {
  expect(unknownColumn(list, filter)).toBe(column);
});

test.each([
  ['vms', 'state:off cpu>50 !name=web'],
  ['log', 'level:error'],
  ['queues', 'vm:web'],
  ['pci', 'driver:vfio vendor:intel'],
  // Addresses and IDs.
  ['pci', '3b:00.0'],
  ['pci', 'af:'],
  ['pci', 'beef:cafe'],
  ['vms', '"driver:vfio"'],
  ['vms', '-f driver:vfio'],
] as const)('on the list %s, %s names no unknown column', (list, filter) => {
  expect(unknownColumn(list, filter)).toBeNull();
});

test('a list reports it, with and without rows', () => {
  expect(filterRemark('vms', '!driver:vfio')).toBe(
    '/!driver:vfio  no column "driver" here, searched as text; Esc clears the filter',
  );
  expect(filterRemark('vms', 'web')).toBe('/web  Esc clears the filter');
  expect(filterRemark(null, 'web')).toBe('');
  expect(noMatchText('vms', 'web', 'No VM')).toBe('No VM matches the filter; Esc clears it');
  expect(noMatchText('vms', 'driver:vfio', 'No VM')).toMatch(/no column "driver", only name, state, /);
  expect(noMatchText('doctor', 'driver:vfio', 'Nothing')).toBe(
    'Nothing matches the filter: this list has no column "driver", only state, area, title, id, why; Esc clears it',
  );
});
