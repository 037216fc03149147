import { networkInterfaces } from 'node:os';
import { expect, test } from 'vitest';
import { socketAddress } from '../../../src/engine/chars/socket-address.ts';

function hex(host: string, port = 0x1234): string {
  const address = socketAddress(host, port);
  return typeof address === 'string' ? address : Buffer.from(address.bytes).toString('hex');
}

test('converts IPv4 addresses', () => {
  expect(hex('192.0.2.1')).toBe(`02001234c0000201${'0'.repeat(16)}`);
});

test.each([
  ['::', '00000000000000000000000000000000'],
  ['::1', '00000000000000000000000000000001'],
  ['2001:db8::', '20010db8000000000000000000000000'],
  ['2001:DB8::a:1', '20010db80000000000000000000a0001'],
  ['1:2:3:4:5:6:7:8', '00010002000300040005000600070008'],
  ['::ffff:192.0.2.1', '00000000000000000000ffffc0000201'],
  ['64:ff9b::192.0.2.1', '0064ff9b0000000000000000c0000201'],
])('converts the IPv6 address %s', (host, bytes) => {
  expect(hex(host)).toBe(`0a00123400000000${bytes}00000000`);
});

test('link-local addresses keep their interface', () => {
  expect(hex('fe80::1%7')).toBe('0a00123400000000fe800000000000000000000000000001' + '07000000');
  expect(hex('fe80::1%nosuch')).toBe(
    'fe80::1%nosuch: the host has no interface nosuch: ip link shows its interfaces',
  );
  const [name, addresses] =
    Object.entries(networkInterfaces()).find(([, each]) =>
      each!.some(({ family, address }) => family === 'IPv6' && address.startsWith('fe80')),
    ) ?? [];
  const scope = addresses?.find(each => each.family === 'IPv6' && each.scopeid > 0);
  if (name !== undefined && scope?.family === 'IPv6')
    expect(hex(`fe80::1%${name}`)).toBe(hex(`fe80::1%${scope.scopeid}`));
});

test('rejects anything else', () => {
  for (const host of ['example.org', '', '1.2.3', '1.2.3.4.5', ':::', '1::2::3', 'g::'])
    expect(hex(host)).toBe(`${host} is not an address: give one, such as 127.0.0.1`);
});
