import { describe, expect, test } from 'vitest';
import { readDomain } from '../../../src/definitions/libvirt/read.ts';
import { plainDefinition } from '../../../src/definitions/plain.ts';

const read = (attributes: string, inner: string) => {
  const text = `<domain><name>web</name><devices><interface ${attributes}><model type='virtio'/>${inner}</interface></devices></domain>`;
  const { definition, leftOut } = readDomain(text, 'web.xml');
  return { nic: plainDefinition(definition).nics?.[0], leftOut };
};
const where = (path: string) => `domain/devices/interface${path}`;

describe('an <interface> becomes a network card', () => {
  test.each([
    ['user', '', { network: 'user' }],
    [
      'user',
      "<ip family='ipv4' address='172.17.2.0' prefix='24'/>",
      { network: { type: 'user', net: '172.17.2.0/24' } },
    ],
    [
      'user',
      "<backend type='passt' logFile='/l'/><source dev='eth0'/><ip family='ipv4' address='192.0.2.7' prefix='24'/>" +
        "<portForward proto='udp' address='192.0.2.1'><range start='53'/></portForward>" +
        "<portForward proto='tcp'><range start='2022' to='22'/><range start='8000' end='8001'/><range start='8001' exclude='yes'/></portForward>",
      {
        network: {
          type: 'passt',
          interface: 'eth0',
          address: '192.0.2.7',
          forward: [
            { protocol: 'udp', address: '192.0.2.1', host: 53, guest: 53 },
            { address: '0.0.0.0', host: 2022, guest: 22 },
            { address: '0.0.0.0', host: 8000, guest: 8000 },
            { address: '0.0.0.0', host: 8001, guest: 8001 },
          ],
        },
      },
    ],
    [
      'bridge',
      "<source bridge='br0'/><target dev='vnet3'/><mtu size='9000'/><link state='down'/>",
      { network: { type: 'bridge', bridge: 'br0' }, mtu: 9000, link: 'down' },
    ],
    ['bridge', "<source bridge='br0'/><link state='up'/>", { network: { type: 'bridge', bridge: 'br0' } }],
    [
      'direct',
      "<source dev='eth0' mode='passthrough'/><boot order='2'/>",
      { network: { type: 'macvtap', interface: 'eth0', mode: 'passthru' }, bootindex: 2 },
    ],
    ['direct', "<source dev='eth0' mode='bridge'/>", { network: { type: 'macvtap', interface: 'eth0' } }],
    [
      'ethernet',
      "<target dev='tap0' managed='no'/><script path='/up'/><downscript path='/down'/>",
      { network: { type: 'tap', interface: 'tap0', script: '/up', downscript: '/down' } },
    ],
    ['null', '', { network: 'none' }],
    [
      'user',
      "<driver name='vhost' queues='4' rx_queue_size='256' event_idx='off' rss='on'><host tso4='off' mrg_rxbuf='on'/><guest csum='off'/></driver>",
      {
        network: 'user',
        queues: 4,
        vhost: true,
        virtio: { 'event-idx': false, rss: true, 'host-tso4': false, 'mrg-rxbuf': true, 'guest-csum': false },
      },
    ],
    ['user', "<driver name='qemu'/>", { network: 'user', vhost: false }],
    [
      'user',
      "<bandwidth><inbound average='1024' burst='2048'/><outbound average='128'/></bandwidth>",
      {
        network: 'user',
        limits: { receive: { bps: '1000K', 'bps-burst': '2M' }, transmit: { bps: '125K' } },
      },
    ],
  ])('%s %s', (type, inner, nic) => expect(read(`type='${type}'`, inner)).toEqual({ nic, leftOut: [] }));

  test.each([
    [
      "type='user'",
      "<bandwidth><inbound average='1000' peak='5000' burst='1' floor='10'/></bandwidth>",
      ['/bandwidth/inbound@peak', '/bandwidth/inbound@burst', '/bandwidth/inbound@floor'],
    ],
    [
      "type='bridge'",
      "<source bridge='br0'/><vlan><tag id='42'/></vlan><virtualport type='openvswitch'/>",
      ['/vlan', '/virtualport'],
    ],
    ["type='vhostuser'", '', ['']],
    [
      "type='user'",
      "<backend type='passt'/><portForward proto='tcp'><range start='1' end='65535'/></portForward>",
      ['/portForward/range'],
    ],
  ])('unsupported settings are listed: %s %s', (attributes, inner, paths) =>
    expect(read(attributes, inner).leftOut.map(({ path }) => path)).toEqual(paths.map(where)),
  );
});
