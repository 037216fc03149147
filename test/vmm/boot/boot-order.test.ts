import { expect, test } from 'vitest';
import { type BootCandidate, bootOrder } from '../../../src/vmm/boot/boot-order.ts';

const candidates: readonly BootCandidate[] = [
  { kind: 'disk', path: '/a' },
  { kind: 'cdrom', path: '/cd' },
  { kind: 'disk', path: '/b', index: 7 },
  { kind: 'network', path: '/nic' },
  { kind: null, path: '/passed', index: 3 },
  { kind: null, path: '/other' },
];

test.each([
  [[], ['/passed', '/b', '/a', '/cd', '/nic']],
  [
    ['network', 'disk'],
    ['/passed', '/b', '/nic', '/a'],
  ],
  [['floppy'], ['/passed', '/b']],
] as const)('firmware boots by index, then by kind: %j', (order, paths) =>
  expect(bootOrder(candidates, order)).toEqual(paths),
);
