import { afterEach, describe, expect, test } from 'vitest';
import { readPci } from '../../../src/host/pci/read.ts';
import { readUse } from '../../../src/host/use/use.ts';
import { TreeBuilder } from '../trees/builder.ts';
import { routeHeading, routeLine } from '../trees/common.ts';

const trees: TreeBuilder[] = [];
afterEach(() => {
  for (const tree of trees.splice(0)) tree.remove();
});

const card = '0000:00:02.0';
const spare = '0000:00:03.0';
const client = '10.9.0.2';

function host(session: string, ...routes: string[]): TreeBuilder {
  const tree = new TreeBuilder();
  trees.push(tree);
  for (const address of [card, spare])
    tree.pci({ address, id: '8086:1572', class: '020000', driver: 'i40e' });
  tree.net('lo', { addresses: ['127.0.0.1/8'] }).file('/proc/net/route', routeHeading + routes.join(''));
  tree.facts.sshConnections.push(session);
  return tree;
}

/** ARPHRD_NONE, and the same interface below it: nothing. */
function tunnel(tree: TreeBuilder, name: string, addresses: string[], type = 65534): TreeBuilder {
  tree.net(name, { addresses });
  return tree.files({
    [`/sys/devices/virtual/net/${name}/type`]: `${type}\n`,
    [`/sys/devices/virtual/net/${name}/ifindex`]: '7\n',
    [`/sys/devices/virtual/net/${name}/iflink`]: '7\n',
  });
}

function roles(tree: TreeBuilder, address = card): string[] {
  const root = tree.root();
  const use = readUse(root, readPci(root)).get(address);
  return use?.interfaces.flatMap(each => each.roles.map(role => `${role.kind}: ${role.text}`)) ?? [];
}

const throughTunnel = `ssh: may carry the SSH session from ${client}, which goes through wg0`;

describe('WireGuard', () => {
  const session = `${client} 50122 10.9.0.1 22`;
  const inside = routeLine('wg0', '10.9.0.0', '0.0.0.0', '255.255.255.0');

  test('the session goes through the card with the route to the peer', () => {
    const tree = host(
      session,
      inside,
      routeLine('eth0', '203.0.113.5', '192.0.2.1', '255.255.255.255'),
      routeLine('wg0', '0.0.0.0', '0.0.0.0', '0.0.0.0'),
    )
      .net('eth0', { on: card, addresses: ['192.0.2.10/24'] })
      .net('eth1', { on: spare, addresses: ['198.51.100.10/24'] });
    expect(roles(tunnel(tree, 'wg0', ['10.9.0.1/24'])).slice(0, 2)).toEqual([
      throughTunnel,
      'default-route: may carry the default route, which goes through wg0',
    ]);
    expect(roles(tree, spare)).toEqual(['address: has the address 198.51.100.10/24']);
  });

  test('below a bond, and without any gateway', () => {
    const tree = host(session, inside)
      .net('eth0', { on: card, uppers: ['bond0'] })
      .net('bond0', { addresses: ['192.0.2.10/24'] });
    expect(roles(tunnel(tree, 'wg0', ['10.9.0.1/24']))).toContain(throughTunnel);
  });
});

test('Open vSwitch: nothing in sysfs connects the internal port of the host with the card', () => {
  const tree = host(`${client} 50122 192.0.2.10 22`, routeLine('br-ex', '0.0.0.0', '192.0.2.1', '0.0.0.0'))
    .net('eth0', { on: card, uppers: ['ovs-system'] })
    .net('ovs-system')
    .net('eth1', { on: spare });
  expect(roles(tunnel(tree, 'br-ex', ['192.0.2.10/24'], 1))).toEqual([
    `ssh: may carry the SSH session from ${client}, which goes through br-ex`,
    'default-route: may carry the default route to 192.0.2.1, which goes through br-ex',
    'upper: is part of ovs-system',
  ]);
  expect(roles(tree, spare)).toEqual([]);
});

test('an address on an interface without packets, and the end of a pair, are not tunnels', () => {
  const tree = host(
    `${client} 50122 10.1.1.1 22`,
    routeLine('eth0', '0.0.0.0', '192.0.2.1', '0.0.0.0'),
    routeLine('veth1', '172.16.0.0', '0.0.0.0', '255.255.255.0'),
  ).net('eth0', { on: card, addresses: ['192.0.2.10/24'] });
  tunnel(tree, 'dummy0', ['10.1.1.1/32'], 1);
  tunnel(tree, 'veth1', ['172.16.0.1/24'], 1).file('/sys/devices/virtual/net/veth1/iflink', '2\n');
  tree.facts.sshConnections.push('172.16.0.2 40000 172.16.0.1 22');
  expect(roles(tree)).toEqual([
    `ssh: carries the SSH session from ${client}`,
    'default-route: carries the default route to 192.0.2.1',
    'address: has the address 192.0.2.10/24',
  ]);
});
