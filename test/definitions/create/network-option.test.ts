import { describe, expect, test } from 'vitest';
import { NETWORKS, parseNic } from '../../../src/definitions/create/network-option.ts';
import { parseNetwork } from '../../../src/definitions/create/option-values.ts';

const parse = (text: string) => parseNic(text, '--net', { cwd: '/vms' });

describe('a network card in an option', () => {
  test.each([
    ['user', { network: { type: 'user' } }],
    [
      'user,hostfwd=tcp:127.0.0.1:2222-:22,tftp=boot',
      {
        network: {
          type: 'user',
          tftp: '/vms/boot',
          forward: [{ protocol: 'tcp', address: '127.0.0.1', host: 2222, guest: 22 }],
        },
      },
    ],
    ['tap', { network: { type: 'tap' } }],
    ['tap:tap0,vhost=off', { network: { type: 'tap', interface: 'tap0' }, vhost: false }],
    ['bridge:br0', { network: { type: 'bridge', bridge: 'br0' } }],
    ['bridge,br=br1,queues=2', { network: { type: 'bridge', bridge: 'br1' }, queues: 2 }],
    [
      'network:default,mac=52:54:00:00:00:01,mtu=9000,link=off,model=e1000',
      {
        network: { type: 'network', name: 'default' },
        ...{ mac: '52:54:00:00:00:01', mtu: 9000, link: 'down', model: 'e1000' },
      },
    ],
    ['macvtap:eth0,mode=vepa', { network: { type: 'macvtap', interface: 'eth0', mode: 'vepa' } }],
    ['passt', { network: { type: 'passt' } }],
    [
      'passt:eth0,tcp-ports=127.0.0.1/2222:22,tcp-ports=80,udp-ports=53',
      {
        network: {
          type: 'passt',
          interface: 'eth0',
          forward: [
            { protocol: 'tcp', address: '127.0.0.1', host: 2222, guest: 22 },
            { protocol: 'tcp', address: '0.0.0.0', host: 80, guest: 80 },
            { protocol: 'udp', address: '0.0.0.0', host: 53, guest: 53 },
          ],
        },
      },
    ],
    ['none', { network: { type: 'none' } }],
  ])('%s', (text, nic) => expect(parse(text)).toEqual(nic));

  test.each([
    ['', `--net : expected ${NETWORKS}`],
    ['bridge', `--net bridge: expected ${NETWORKS}`],
    ['bridge:', `--net bridge:: expected ${NETWORKS}`],
    ['user:x', `--net user:x: expected ${NETWORKS}`],
    ['wifi', `--net wifi: expected ${NETWORKS}`],
    ['user,hostfw=1', '--net user,hostfw=1: vring does not support "hostfw" here: did you mean "hostfwd"?'],
    [
      'network:a b',
      '--net network:a b: network.name: expected the name of a network, as vring net list shows it, not "a b"',
    ],
    [
      'user,mac=1',
      '--net user,mac=1: mac: expected a unicast MAC address, such as 52:54:00:12:34:56, not "1"',
    ],
  ])('%s is rejected', (text, message) => expect(() => parse(text)).toThrow(message));

  test('may be omitted for a new VM', () => {
    expect(parseNetwork('none')).toEqual([]);
    expect(parseNetwork('bridge:br0')).toEqual([{ network: { type: 'bridge', bridge: 'br0' } }]);
  });
});
