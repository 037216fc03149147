import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  checkNetwork,
  definitionText,
  networkNamed,
  readNetworks,
} from '../../../src/host/networks/definition.ts';
import { dnsmasqConfig } from '../../../src/host/networks/dnsmasq.ts';
import { parseLeases } from '../../../src/host/networks/leases.ts';
import { listNetworks } from '../../../src/host/networks/read.ts';
import { rulesetText } from '../../../src/host/networks/ruleset.ts';
import {
  freeSubnet,
  guestRange,
  overlaps,
  parseSubnet,
  subnetText,
} from '../../../src/host/networks/subnet.ts';
import { HostRoot } from '../../../src/host/root.ts';
import { DocumentedTypes } from '../../support/documented-types.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const NETWORK = {
  name: 'lab',
  bridge: 'vr-lab',
  subnet: '10.9.0.0/24',
  dhcp: { start: '10.9.0.10', end: '10.9.0.99' },
} as const;

describe('subnets', () => {
  test('are compared by their addresses', () => {
    expect(subnetText(parseSubnet('192.168.150.7/24'))).toBe('192.168.150.0/24');
    expect(overlaps(parseSubnet('10.0.0.0/8'), parseSubnet('10.255.0.0/16'))).toBe(true);
    expect(overlaps(parseSubnet('10.0.0.0/25'), parseSubnet('10.0.0.128/25'))).toBe(false);
    expect(guestRange(parseSubnet('10.9.0.0/29'))).toEqual({ start: '10.9.0.2', end: '10.9.0.6' });
  });

  test('that are free are found until there are none left', () => {
    expect(subnetText(freeSubnet([])!)).toBe('192.168.150.0/24');
    expect(subnetText(freeSubnet([parseSubnet('192.168.150.128/25')])!)).toBe('192.168.151.0/24');
    expect(subnetText(freeSubnet([parseSubnet('192.168.0.0/16')])!)).toBe('10.77.0.0/24');
    expect(freeSubnet([parseSubnet('192.168.0.0/16'), parseSubnet('10.0.0.0/8')])).toBeNull();
  });
});

describe('a definition', () => {
  test.each([
    [{ name: '../x' }, 'cannot be the name'],
    [{ subnet: '10.9.0.0/30' }, 'subnet'],
    [{ subnet: '10.9.0.0' }, 'subnet'],
    [{ bridge: 'a bridge' }, 'bridge'],
    [{ dhcp: { start: '10.9.0.1', end: '10.9.0.9' } }, 'dhcp: addresses of 10.9.0.0/24 other than 10.9.0.1'],
    [{ dhcp: { start: '10.9.0.9', end: '10.9.0.8' } }, 'the first address is above the last'],
    [{ domain: 'a b' }, 'domain'],
    [{ domain: 'x\nuser=root' }, 'domain'],
    [{ reservations: [{ mac: '52:54:00:00:00:01', address: '10.8.0.1' }] }, 'not an address for a guest'],
    [
      {
        reservations: [
          { mac: '52:54:00:00:00:01', address: '10.9.0.2' },
          { mac: '52:54:00:00:00:01', address: '10.9.0.3' },
        ],
      },
      '52:54:00:00:00:01 is there twice',
    ],
  ])('with %j is rejected', (wrong, message) => {
    expect(() => checkNetwork({ ...NETWORK, ...wrong })).toThrow(message);
  });

  test('is read back from its file; an invalid file is named', async () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, 'etc/vring/networks'), { recursive: true });
    const network = checkNetwork({ ...NETWORK, domain: 'lab.test', autostart: true });
    writeFileSync(join(folder, 'etc/vring/networks/lab.yaml'), definitionText(network));
    writeFileSync(join(folder, 'etc/vring/networks/bad.yaml'), 'subnet: 1\n');
    const root = new HostRoot(folder);
    expect(readNetworks(root).definitions).toEqual([network]);
    expect(readNetworks(root).problems).toEqual([
      expect.stringMatching(/^\/etc\/vring\/networks\/bad\.yaml: network bad: /),
    ]);
    const list = await listNetworks(root);
    expect(list.networks).toMatchObject([{ name: 'lab', state: 'down' }]);
    expect(new DocumentedTypes('docs/host.md').misfits(list, 'net list')).toEqual([]);
    expect(() => networkNamed(root, 'bad')).toThrow('bad.yaml');
    expect(() => networkNamed(root, 'web')).toThrow('there is no network web: there are lab');
  });
});

test('dnsmasq serves the bridge of the network, and nothing else', () => {
  const nat = dnsmasqConfig(checkNetwork({ ...NETWORK, domain: 'lab.test' }));
  expect(nat).toContain('interface=vr-lab\n');
  expect(nat).toContain('bind-interfaces\n');
  expect(nat).toContain('dhcp-range=10.9.0.10,10.9.0.99,255.255.255.0,1h\n');
  expect(nat).not.toContain('dhcp-option=3');
  const isolated = dnsmasqConfig(checkNetwork({ ...NETWORK, form: 'isolated' }));
  expect(isolated).toContain('dhcp-option=3\n');
  expect(isolated).toContain('no-resolv\n');
  expect(dnsmasqConfig(checkNetwork({ ...NETWORK, dns: false }))).toContain('port=0\n');
});

test('only NAT translates addresses, and only an isolated network blocks outgoing traffic', () => {
  const rules = (form: 'nat' | 'routed' | 'isolated') => rulesetText(checkNetwork({ ...NETWORK, form }));
  expect(rules('nat')).toContain('masquerade');
  expect(rules('nat')).toContain('ct state established,related');
  expect(rules('routed')).not.toContain('masquerade');
  expect(rules('routed')).toContain('oifname "vr-lab" ip daddr 10.9.0.0/24 accept');
  expect(rules('isolated')).not.toContain('saddr');
});

test('leases are read as dnsmasq writes them', () => {
  const text = [
    '1767000000 52:54:00:AA:00:01 10.9.0.10 web 01:52:54:00:aa:00:01',
    '0 52:54:00:aa:00:02 10.9.0.11 * *',
    'rubbish',
    '1767000000 not-a-mac 10.9.0.12 x *',
    'duid 00:01:00:01',
    '1767000000 52:54:00:aa:00:03 fd00::1 v6 *',
  ].join('\n');
  expect(parseLeases(text)).toEqual([
    { mac: '52:54:00:aa:00:01', address: '10.9.0.10', name: 'web', expiresAt: 1767000000 },
    { mac: '52:54:00:aa:00:02', address: '10.9.0.11', name: null, expiresAt: null },
  ]);
});
