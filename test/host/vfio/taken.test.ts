import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { currentBootId } from '../../../src/host/process-identity.ts';
import { HostRoot } from '../../../src/host/root.ts';
import { type TakenDevice, TakenDevices, vmsByTaken } from '../../../src/host/vfio/taken.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const taken: TakenDevice = {
  version: 1,
  address: '0000:01:10.0',
  id: '8086:10ca',
  group: 12,
  bootId: currentBootId(),
  vm: 'web',
  device: 'hostdev0',
  api: null,
  keep: false,
  driver: 'vfio-pci',
  before: { driver: 'igbvf', override: '' },
  vf: {
    physicalFunction: '0000:01:00.0',
    index: 0,
    before: { mac: '02:00:00:00:00:01', vlan: 0, trust: false },
    set: { mac: '02:00:00:00:00:99', vlan: 7, trust: true },
  },
};

describe('records of devices that were taken from the host', () => {
  test('are read back as written, by address, until they are removed', () => {
    const records = new TakenDevices(join(temporaryFolder(), 'taken-devices'));
    expect(records.list()).toEqual([]);
    const other: TakenDevice = { ...taken, address: '0000:00:1f.6', device: null, vf: null, noIommu: true };
    records.write(taken);
    records.write(other);
    records.write({ ...taken, api: 'iommufd' });
    expect(records.list()).toEqual([other, { ...taken, api: 'iommufd' }]);
    records.remove(other.address);
    records.remove(other.address);
    expect(records.list()).toHaveLength(1);
  });

  test('of an earlier boot of the host are removed', () => {
    const records = new TakenDevices(temporaryFolder());
    records.write({ ...taken, bootId: 'an earlier one' });
    records.write({ ...taken, address: '0000:01:10.2' });
    expect(records.list().map(({ address }) => address)).toEqual(['0000:01:10.2']);
    expect(readdirSync(records.folder)).toEqual(['0000:01:10.2.json']);
  });

  test("that are damaged, or another device's, are named and kept", () => {
    const records = new TakenDevices(temporaryFolder());
    const text = JSON.stringify(taken);
    const files = {
      '0000:01:10.0.json': text.slice(0, 90),
      '0000:01:10.2.json': text,
      '0000:01:10.4.json': text.replaceAll('0000:01:10.0', '0000:01:10.4').replace('vfio-pci', '../../etc'),
      '.0000:01:10.6.json.1-0123456789ab.new': text,
    };
    for (const [name, content] of Object.entries(files)) writeFileSync(join(records.folder, name), content);
    const problems: string[] = [];
    expect(records.list(text => problems.push(text))).toEqual([]);
    expect(problems).toEqual([
      expect.stringMatching(/10\.0\.json is ignored: it is damaged; .*vring vfio unbind/),
      expect.stringMatching(/10\.2\.json is ignored: it is about 0000:01:10\.0/),
      expect.stringMatching(/10\.4\.json is ignored: it is damaged/),
    ]);
    expect(readdirSync(records.folder)).toHaveLength(4);
  });

  test('name the VM that has a device', () => {
    const state = temporaryFolder();
    const env = process.env.VRING_STATE_DIR;
    process.env.VRING_STATE_DIR = state;
    try {
      expect(vmsByTaken(new HostRoot())).toEqual(new Map());
      mkdirSync(join(state, 'taken-devices'));
      new TakenDevices().write(taken);
      expect(vmsByTaken(new HostRoot())).toEqual(new Map([['0000:01:10.0', 'web']]));
    } finally {
      if (env === undefined) delete process.env.VRING_STATE_DIR;
      else process.env.VRING_STATE_DIR = env;
    }
  });
});
