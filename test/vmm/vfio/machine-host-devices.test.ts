import { closeSync, openSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { HostDeviceError } from '../../../src/devices/vfio/host-device.ts';
import type { HostDeviceFd } from '../../../src/vmm/machine/messages.ts';
import { AddressSpace } from '../../../src/vmm/memory/address-space.ts';
import { GuestRam } from '../../../src/vmm/memory/guest-ram.ts';
import { type GivenDevice, takeGivenDevices } from '../../../src/vmm/vfio/given-devices.ts';
import { MachineHostDevices } from '../../../src/vmm/vfio/machine-host-devices.ts';
import { UNCOUNTED } from '../../support/counters.ts';
import { isOpen } from '../../support/fds.ts';
import { LocalOwner } from '../../support/local-owner.ts';

const MiB = 2 ** 20;
const ADDRESS = '0000:01:10.0';

const owner = new LocalOwner();
let fds: number[];
beforeEach(() => {
  fds = [];
});
afterEach(() => owner.release());

const newDevices = (mergeable = false) =>
  new MachineHostDevices({
    native: owner,
    vm: {
      createDevice: () => {
        throw new Error('nothing is to be added to KVM');
      },
    },
    memory: {
      space: new AddressSpace({ counters: () => UNCOUNTED }),
      ram: new GuestRam(owner, { bytes: 2 * MiB }),
    },
    pageSize: 4096,
    mergeable,
    warn: () => {},
    later: step => step(),
  });

/** Files that are no files of VFIO, so that the kernel refuses the first call. */
const given = (api: GivenDevice['api'], kinds: readonly HostDeviceFd[]): GivenDevice => {
  const files = kinds.map(kind => [kind, openSync('/dev/null', 'r+')] as const);
  fds.push(...files.map(([, fd]) => fd));
  return { address: ADDRESS, api, group: 12, resetMethods: ['flr'], noIommu: false, fds: new Map(files) };
};
const openNow = () => fds.map(isOpen);

test.each([
  ['group', ['container', 'group']],
  ['iommufd', ['iommufd', 'device']],
] as const)('a device that cannot be opened because of its %s leaves nothing behind', (api, kinds) => {
  const devices = newDevices();
  devices.give([given(api, kinds)]);
  expect(openNow()).toEqual([true, true]);
  expect(() => devices.open(ADDRESS)).toThrow(HostDeviceError);
  expect(openNow()).toEqual([false, false]);
});

test.each([
  ['group', ['container', 'group']],
  ['iommufd', ['iommufd', 'device']],
] as const)('a hot-plugged device that fails because of its %s leaves nothing behind', (api, kinds) => {
  const devices = newDevices();
  devices.give([given(api, kinds)]);
  const failures: (Error | null)[] = [];
  devices.prepare([ADDRESS], failure => failures.push(failure));
  expect(failures).toHaveLength(1);
  expect(failures[0]).toBeInstanceOf(HostDeviceError);
  expect(failures[0]!.message).toContain(ADDRESS);
  expect(openNow()).toEqual([false, false]);
});

test('a missing device is named, and an unused one is closed', () => {
  const devices = newDevices();
  expect(() => devices.open(ADDRESS)).toThrow(`the machine was not given the host device ${ADDRESS}`);
  devices.give([given('group', ['container', 'group'])]);
  expect(() => devices.checkGiven()).toThrow(ADDRESS);
  expect(openNow()).toEqual([false, false]);
  expect(() => devices.checkGiven()).not.toThrow();
});

test('mergeable memory is rejected, with the next step', () => {
  const devices = newDevices(true);
  devices.give([]);
  expect(() => devices.give([given('group', ['container', 'group'])])).toThrow(/KSM.*remove mergeable/);
  expect(openNow()).toEqual([false, false]);
});

test('fds are assigned in the order of the message, and closed if one is missing', () => {
  const message = {
    address: ADDRESS,
    api: 'group',
    group: 12,
    resetMethods: [],
    noIommu: false,
    fds: ['container', 'group'],
  } as const;
  const came = [openSync('/dev/null', 'r'), openSync('/dev/null', 'r')];
  const queue = [...came];
  const take = () => queue.shift() ?? null;
  const [device] = takeGivenDevices([message], take, closeSync);
  expect([...device!.fds]).toEqual([
    ['container', came[0]],
    ['group', came[1]],
  ]);
  queue.push(came[0]!);
  expect(() => takeGivenDevices([message], take, closeSync)).toThrow(`the group of host device ${ADDRESS}`);
  expect(isOpen(came[0]!)).toBe(false);
  closeSync(came[1]!);
});
