import { expect, test } from 'vitest';
import { hostDevicesOf } from '../../../src/engine/machines/machine.ts';

test('a message names the fds of host devices in the order in which they are sent', () => {
  const device = { api: 'group', resetMethods: ['flr'], noIommu: false } as const;
  const { message, fds } = hostDevicesOf([
    {
      ...device,
      address: '0000:01:10.0',
      group: 12,
      fds: [
        { kind: 'container', fd: 20 },
        { kind: 'group', fd: 21 },
      ],
    },
    { ...device, address: '0000:01:10.2', group: 13, fds: [{ kind: 'group', fd: 22 }] },
  ]);
  expect(message).toEqual({
    hostDevices: [
      { ...device, address: '0000:01:10.0', group: 12, fds: ['container', 'group'] },
      { ...device, address: '0000:01:10.2', group: 13, fds: ['group'] },
    ],
  });
  expect(fds).toEqual([20, 21, 22]);
});

test('the message for a machine without host devices names none', () => {
  expect(hostDevicesOf()).toEqual({ message: {}, fds: [] });
});
