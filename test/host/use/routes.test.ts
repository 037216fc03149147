import { expect, test } from 'vitest';
import { address6, type Route, routeTo } from '../../../src/host/use/routes.ts';

const route = (destination: string, name: string, metric = 0): Route => ({
  destination,
  gateway: null,
  interface: name,
  metric,
});

const routes = [
  route('0.0.0.0/0', 'wan', 100),
  route('0.0.0.0/0', 'backup', 200),
  route('10.0.0.0/8', 'lan'),
  route('10.1.0.0/16', 'vpn'),
  route('::/0', 'wan6'),
  route('2001:db8::/32', 'lan6'),
];

test('the longest prefix wins, then the lowest metric', () => {
  expect(routeTo(routes, '10.1.2.3')?.interface).toBe('vpn');
  expect(routeTo(routes, '10.2.2.3')?.interface).toBe('lan');
  expect(routeTo(routes, '192.0.2.1')?.interface).toBe('wan');
  expect(routeTo(routes, '2001:db8::7')?.interface).toBe('lan6');
  expect(routeTo(routes, '::ffff:10.1.2.3')?.interface).toBe('vpn');
  expect(routeTo(routes, 'fe80::1%eth0')?.interface).toBe('wan6');
});

test('an invalid address has no route', () => {
  expect(routeTo(routes, 'UNKNOWN')).toBeNull();
});

test('shortens IPv6 addresses', () => {
  expect(address6('20010db8000000000000000000000005')).toBe('2001:db8::5');
});
