import { describe, expect, test } from 'vitest';
import { deviceOwners, ownerSentences, ownersText } from '../../src/view/device-owners.ts';

const VF = {
  address: '0000:01:10.0',
  device: 'hostdev0',
  api: 'group',
  keep: false,
  before: 'igbvf',
} as const;
const ownersOf = (...vms: Parameters<typeof deviceOwners>[0]) => deviceOwners(vms).get(VF.address) ?? [];

describe('a host function', () => {
  test('used by a running VM has its name, how it is open, and what happens to it', () => {
    const owners = ownersOf({ name: 'web', state: 'running', hostDevices: [VF] });
    expect(ownersText(owners)).toBe('web');
    expect(ownerSentences(owners)).toEqual([
      'web has it as hostdev0 through its VFIO group; it goes back to igbvf when the VM ends',
    ]);
  });

  test.each([
    [{ keep: true }, 'it stays with vfio-pci when the VM ends'],
    [{ before: null }, 'the host gets it back when the VM ends'],
    [{ api: 'iommufd' as const }, 'through iommufd;'],
  ])('with %j: %s', (change, text) => {
    const owners = ownersOf({ name: 'web', state: 'paused', hostDevices: [{ ...VF, ...change }] });
    expect(ownerSentences(owners)[0]).toContain(text);
  });

  test('lists VMs that use it at their next start after the VM that has it', () => {
    const owners = ownersOf(
      { name: 'db', state: 'off', hostDevices: [{ ...VF, api: null }] },
      { name: 'web', state: 'running', hostDevices: [VF] },
    );
    expect(ownersText(owners)).toBe('web, db (off)');
    expect(ownerSentences(owners)[1]).toBe('db takes it as hostdev0 at its next start');
  });

  test('without an IOMMU is marked, whether the VM runs or not', () => {
    for (const state of ['running', 'off'] as const) {
      const owners = ownersOf({ name: 'web', state, hostDevices: [{ ...VF, noIommu: true }] });
      expect(ownersText(owners)).toMatch(/^! web/);
      expect(ownerSentences(owners)[0]).toContain('UNSAFE: no IOMMU');
    }
  });

  test('without a VM is absent', () => {
    expect(deviceOwners([{ name: 'web', state: 'running' }]).size).toBe(0);
  });
});
