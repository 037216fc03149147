import { expect, test } from 'vitest';
import { isSubnet } from '../../../src/host/networks/subnet.ts';

test.each(['192.168.150.0/24', '10.0.0.7/8', '255.255.255.255/32', '0.0.0.0/0'])('%s is a network', text =>
  expect(isSubnet(text)).toBe(true),
);

test.each(['10.300.0.0/24', '10.0.0.0/33', '10.0.0/24', '10.0.0.0', '10.0.0.0/24x', 'fd00::/64', ''])(
  '%j is not a network',
  text => expect(isSubnet(text)).toBe(false),
);
