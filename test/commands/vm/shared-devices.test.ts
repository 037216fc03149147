import { expect, test } from 'vitest';
import { sharedDevices } from '../../../src/commands/vm/shared-devices.ts';
import { readDefinition } from '../../../src/definitions/read.ts';

test('a host device that another VM also uses is named', () => {
  const definition = readDefinition(
    'name: web\npassthrough: [{host: 02:00.0}]\ndevices: [{type: vfio-pci, host: 03:00.0}]',
    {
      file: 'web.yaml',
    },
  );
  const device = (address: string) =>
    ({ address, device: 'hostdev0', api: null, keep: false, before: null }) as never;
  const vms = [
    { name: 'web', hostDevices: [device('0000:02:00.0')] },
    { name: 'db', hostDevices: [device('0000:03:00.0'), device('0000:04:00.0')] },
    { name: 'idle' },
  ];
  expect(sharedDevices(definition, vms)).toEqual([
    'db and web both get 0000:03:00.0: only one of them can run at a time',
  ]);
});

test('a MAC address that another VM also uses is named', () => {
  const mac = '52:54:00:00:00:01';
  const definition = readDefinition(`name: web\nnics: [{mac: "${mac}"}]`, { file: 'web.yaml' });
  const nic = { device: 'net0', type: 'virtio-net', mac, network: { type: 'user', name: null } };
  const vms = ['web', 'db'].map(name => ({ name, nics: [nic] }));
  expect(sharedDevices(definition, vms)).toEqual([
    `db and web both have the MAC address ${mac}: only one of them can run at a time`,
  ]);
});
