import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { readDomain } from '../../../src/definitions/libvirt/read.ts';
import { plainDefinition } from '../../../src/definitions/plain.ts';
import { notYet } from '../../../src/definitions/to-machine.ts';

/** What virt-install 4.1.0 --print-xml wrote for several --os-variant, --network and --channel. */
const folder = path.join(import.meta.dirname, 'virt-install');
const imported = (name: string) =>
  readDomain(fs.readFileSync(path.join(folder, `${name}.xml`), 'utf8'), `${name}.xml`);

const NICS: Readonly<Record<string, readonly object[]>> = {
  'serial-console': [{ network: 'user' }],
  'default-network': [{ network: { type: 'network', name: 'default' } }],
  queues: [
    {
      network: { type: 'bridge', bridge: 'br0' },
      mac: '52:54:00:11:22:33',
      ...{ queues: 4, vhost: true, mtu: 9000, link: 'down' },
    },
  ],
  macvtap: [{ network: { type: 'macvtap', interface: 'eth0' } }],
  bandwidth: [
    {
      network: 'user',
      limits: { receive: { bps: '976.5625K', 'bps-burst': '1M' }, transmit: { bps: '125K' } },
    },
  ],
  passt: [
    {
      network: {
        type: 'passt',
        interface: 'eth0',
        forward: [{ address: '0.0.0.0', host: 2222, guest: 22 }],
      },
    },
  ],
  channels: [],
};

test('every domain is expected', () =>
  expect(fs.readdirSync(folder).toSorted()).toEqual(
    Object.keys(NICS)
      .map(name => `${name}.xml`)
      .toSorted(),
  ));

describe.each(Object.entries(NICS))('%s', (name, nics) => {
  test('becomes a definition with its disk, network and random numbers', () => {
    const { definition } = imported(name);
    expect(definition).toMatchObject({
      name,
      memory: { size: 2 ** 31 },
      cpus: { count: 2 },
      machine: { kernel: '/srv/vmlinuz', initrd: '/srv/initrd.img', append: 'console=ttyS0' },
      disks: [{ file: '/srv/web.img', format: 'raw', bus: 'virtio' }],
    });
    expect(definition.rng).not.toBe(false);
    expect(plainDefinition(definition).nics ?? []).toMatchObject(nics);
  });

  test('keeps all of its disks and networks', () => {
    const lost = imported(name).leftOut.map(({ path }) => path);
    const kept = name === 'bandwidth' ? ['domain/devices/interface/bandwidth/inbound@peak'] : [];
    const noted = name === 'default-network' ? ['domain/devices/interface/source'] : [];
    expect(lost.filter(path => /devices.(disk|interface|rng)/.test(path))).toEqual([...noted, ...kept]);
  });

  test('needs only supported features, except for planned ones', () => {
    const missing = notYet(imported(name).definition).map(({ key }) => key);
    expect(missing.filter(key => !AWAITED.includes(key))).toEqual([]);
  });
});

/** Of the device table. */
const AWAITED = ['nics[0]', 'balloon'];
