import { describe, expect, test } from 'vitest';
import { netFields } from '../../../src/devices/backends/net.ts';
import { type ConfigurableType, deviceFields } from '../../../src/devices/device-type.ts';
import { deviceTable } from '../../../src/devices/registry.ts';
import { freeMacAddress, macAddress } from '../../../src/engine/networks/mac-address.ts';
import { refuseSameMac, sharedMacs } from '../../../src/engine/networks/same-mac.ts';
import { networkText, vmNics, withMacAddresses } from '../../../src/engine/networks/vm-nics.ts';

const card: ConfigurableType = {
  ...{ type: 'my-nic', title: 'my card', description: 'a network card', bus: 'pci', prefix: 'card' },
  backend: 'net',
  config: z => z.strictObject({ ...deviceFields(z, 'my-nic'), ...netFields(z) }),
  create: () => {
    throw new Error('not built here');
  },
};
const table = deviceTable.with(card);
const nic = (options: object) => ({ type: 'my-nic', ...options });

test("finds the network cards among a machine's devices by name", () => {
  const devices = [
    nic({ network: { type: 'tap', ifname: 'tap0' }, mac: '52:54:00:00:00:AA' }),
    { type: 'virtio-rng' },
    nic({ name: 'lan', network: { type: 'tap', br: 'br0' } }),
    nic({}),
    { type: 'of-a-module' },
  ];
  const found = vmNics(devices, table);
  expect(found).toEqual([
    { device: 'card0', type: 'my-nic', mac: '52:54:00:00:00:aa', network: { type: 'tap', name: 'tap0' } },
    { device: 'lan', type: 'my-nic', mac: null, network: { type: 'tap', name: 'br0' } },
    { device: 'card1', type: 'my-nic', mac: null, network: { type: 'none', name: null } },
  ]);
  expect(found.map(({ network }) => networkText(network))).toEqual(['tap tap0', 'tap br0', 'none']);
  expect(vmNics([{ type: 'virtio-rng' }], table)).toEqual([]);
});

describe('MAC addresses', () => {
  test('of cards without one are the same at every start, and unique in the VM', () => {
    const devices = [nic({ mac: macAddress('web', 1) }), nic({}), { type: 'virtio-rng' }, nic({})];
    const macs = withMacAddresses('web', devices, table).map(({ mac }) => mac);
    expect(macs).toEqual([macAddress('web', 1), macAddress('web', 2), undefined, macAddress('web', 3)]);
    expect(withMacAddresses('web', devices, table)).toEqual(withMacAddresses('web', devices, table));
  });

  test('that are in use are skipped', () => {
    const taken = new Set([macAddress('web', 0), macAddress('web', 1)]);
    expect(freeMacAddress('web', 0, taken)).toBe(macAddress('web', 2));
    expect(freeMacAddress('web', 0, new Set())).toBe(macAddress('web', 0));
  });

  const owner = (name: string, ...macs: string[]) => ({
    name,
    nics: vmNics(
      macs.map(mac => nic({ mac })),
      table,
    ),
  });
  const [a, b] = ['52:54:00:00:00:0a', '52:54:00:00:00:0b'] as const;

  test('are not shared with a running VM', () => {
    expect(() => refuseSameMac(owner('web', b, a), [owner('idle'), owner('db', a)])).toThrow(
      `web cannot start: its card1 has the MAC address ${a}, and so has card0 of db, which runs: ` +
        'give one of them another (mac: in its definition), or shut that VM down first',
    );
    refuseSameMac(owner('web', a), [owner('db', b), owner('web', a), { name: 'none' }]);
    expect(sharedMacs(owner('web', a, b), [owner('db', b, a)])).toHaveLength(2);
  });
});
