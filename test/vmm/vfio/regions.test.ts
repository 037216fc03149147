import { expect, test } from 'vitest';
import { findMsixTable } from '../../../src/vmm/vfio/msix-table.ts';
import { parseRegion } from '../../../src/vmm/vfio/regions.ts';
import * as structs from '../../../src/vmm/vfio/structs.ts';
import { configOf, recordedDevice } from '../../support/fake-host-device.ts';

const READ_WRITE_MMAP = 7;
const CAPS = 8;

/** An info struct with capabilities, each after the other. */
function infoWith(
  size: number,
  flags: number,
  capabilities: readonly { id: number; areas?: [number, number][] }[],
) {
  const header = structs.vfioRegionInfo.size;
  const parts = capabilities.map(({ areas = [] }) => 16 + 16 * areas.length);
  const bytes = new Uint8Array(header + parts.reduce((sum, part) => sum + part, 0));
  const first = capabilities.length > 0 ? header : 0;
  const value = {
    argsz: bytes.length,
    flags,
    index: 0,
    cap_offset: first,
    size: BigInt(size),
    offset: 1n << 40n,
  };
  structs.vfioRegionInfo.write(bytes, value);
  let at = header;
  for (const [index, { id, areas = [] }] of capabilities.entries()) {
    const next = index + 1 < capabilities.length ? at + parts[index]! : 0;
    structs.vfioRegionInfoCapSparseMmap.write(
      bytes,
      { header: { id, version: 1, next }, nr_areas: areas.length },
      at,
    );
    for (const [number, [offset, length]] of areas.entries()) {
      const area = { offset: BigInt(offset), size: BigInt(length) };
      structs.vfioRegionSparseMmapArea.write(bytes, area, at + 16 + 16 * number);
    }
    at += parts[index]!;
  }
  return parseRegion(value, bytes);
}

test('a region is mapped completely, with its MSI-X table if the kernel allows it', () => {
  expect(infoWith(0x4000, READ_WRITE_MMAP | CAPS, [{ id: 3 }])).toEqual({
    size: 0x4000,
    readable: true,
    writable: true,
    fileOffset: 2 ** 40,
    mappable: [{ offset: 0, size: 0x4000 }],
    msixMappable: true,
  });
});

test('sparse areas are mapped by full pages', () => {
  const areas: [number, number][] = [
    [0x3000, 0x1000],
    [0, 0x1800],
    [0x2800, 0x100],
  ];
  const { mappable } = infoWith(0x4000, READ_WRITE_MMAP | CAPS, [{ id: 3 }, { id: 1, areas }]);
  expect(mappable).toEqual([
    { offset: 0, size: 0x1000 },
    { offset: 0x3000, size: 0x1000 },
  ]);
});

test('a region that is smaller than a page has its page mapped, and an unmappable one nothing', () => {
  expect(infoWith(0x100, READ_WRITE_MMAP, []).mappable).toEqual([{ offset: 0, size: 0x1000 }]);
  expect(infoWith(0x4000, 3, []).mappable).toEqual([]);
  expect(infoWith(0, READ_WRITE_MMAP, []).mappable).toEqual([]);
});

test('capabilities in a loop end', () => {
  const bytes = new Uint8Array(structs.vfioRegionInfo.size + 16);
  const at = structs.vfioRegionInfo.size;
  structs.vfioInfoCapHeader.write(bytes, { id: 9, version: 1, next: at }, at);
  const value = { flags: READ_WRITE_MMAP | CAPS, cap_offset: at, size: 0x1000n, offset: 0n };
  expect(parseRegion(value, bytes).mappable).toEqual([{ offset: 0, size: 0x1000 }]);
});

test('the MSI-X table of a recorded device is found, if it has one', () => {
  const read = (config: Uint8Array) => ({
    size: config.length,
    read: (offset: number, bytes: Uint8Array) => bytes.set(config.subarray(offset, offset + bytes.length)),
  });
  const igbVf = configOf(recordedDevice('igb-vf'));
  expect(findMsixTable(read(igbVf))).toEqual({ bar: 3, offset: 0, size: 48 });
  expect(findMsixTable(read(new Uint8Array(4096)))).toBeNull();
  // A list that leads in a circle.
  const circle = Uint8Array.from(igbVf);
  circle[0xa1] = 0xa0;
  expect(findMsixTable(read(circle))).toBeNull();
});
