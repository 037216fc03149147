import { expect, test } from 'vitest';
import { capability, readCapabilities } from '../../../src/host/pci/capabilities.ts';
import { ConfigSpace } from '../../../src/host/pci/config-space.ts';
import { type CapabilitySpec, configBytes } from '../trees/config-bytes.ts';

function space(bytes: Buffer): ConfigSpace {
  return new ConfigSpace((into, offset) => bytes.copy(into, 0, offset, offset + into.length));
}

function decode(...capabilities: CapabilitySpec[]) {
  return readCapabilities(
    space(configBytes({ vendor: '8086', device: '10c9', class: '020000', capabilities })),
  );
}

test('decodes MSI-X, PCI Express with its link, and SR-IOV', () => {
  const found = decode(
    { kind: 'msix', vectors: 10, bar: 3, enabled: true },
    { kind: 'pcie', type: 0, flr: true, link: [3, 8, 1, 4] },
    { kind: 'sriov', total: 7, current: 2, offset: 128, stride: 2, vfDevice: '10ca' },
  );
  expect(capability(found, 'msix')).toMatchObject({
    enabled: true,
    vectors: 10,
    table: { bar: 3, offset: 0 },
    pba: { bar: 3, offset: 0x2000 },
  });
  expect(capability(found, 'pcie')).toMatchObject({
    type: 'endpoint',
    flr: true,
    link: { max: { speed: 8, width: 8 }, now: { speed: 2.5, width: 4 } },
  });
  expect(capability(found, 'sriov')).toMatchObject({ totalVfs: 7, numVfs: 2, offset: 128, vfDevice: '10ca' });
});

test('distinguishes absent ACS controls from disabled ones', () => {
  const acs = capability(
    decode({ kind: 'pcie', type: 4 }, { kind: 'acs', capability: 0x1d, control: 0x04 }),
    'acs',
  );
  expect(acs).toMatchObject({ sourceValidation: 'off', requestRedirect: 'on', egressControl: 'absent' });
});

test('the serial number reads as lspci shows it', () => {
  const found = decode({ kind: 'pcie', type: 0 }, { kind: 'serial', serial: 'a0-36-9f-ff-ff-00-00-01' });
  expect(capability(found, 'serial')?.serial).toBe('a0-36-9f-ff-ff-00-00-01');
});

test('a list that loops ends', () => {
  const bytes = configBytes({
    vendor: '8086',
    device: '1',
    class: '020000',
    capabilities: [{ kind: 'pm' }, { kind: 'pcie', type: 0 }],
  });
  bytes.writeUInt8(0x40, 0x81);
  bytes.writeUInt32LE(0x100_1_0001, 0x100);
  expect(readCapabilities(space(bytes)).map(each => each.name)).toEqual([
    'Power Management',
    'PCI Express',
    'AER',
  ]);
});

test('pointers into the header or past the end lead nowhere', () => {
  const bytes = configBytes({ vendor: '8086', device: '1', class: '020000', capabilities: [{ kind: 'pm' }] });
  bytes.writeUInt8(0x10, 0x34);
  expect(readCapabilities(space(bytes))).toEqual([]);
  bytes.writeUInt8(0xfc, 0x34);
  bytes.writeUInt32LE(0xffffffff, 0xfc);
  expect(readCapabilities(space(bytes))).toEqual([]);
});

test('without privileges, only the header is decoded', () => {
  const bytes = configBytes({
    vendor: '8086',
    device: '1',
    class: '020000',
    capabilities: [{ kind: 'pcie', type: 0 }],
  });
  const config = space(bytes.subarray(0, 64));
  expect(config.has(0x3c)).toBe(true);
  expect(config.has(0x40)).toBe(false);
  expect(readCapabilities(config)).toEqual([]);
});

test('noise never causes an exception', () => {
  for (let seed = 1; seed < 200; seed++) {
    const bytes = Buffer.from(
      Array.from({ length: 4096 }, (_, index) => (index * index * seed + seed * 7919) >> 3),
    );
    bytes.writeUInt8(0x10, 6);
    expect(readCapabilities(space(bytes)).length).toBeLessThan(1100);
  }
});
