import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { Struct } from '../../../src/vmm/kvm/c-struct.ts';
import * as constants from '../../../src/vmm/vfio/constants.ts';
import { IOCTLS } from '../../../src/vmm/vfio/ioctls.ts';
import * as structs from '../../../src/vmm/vfio/structs.ts';
import { evaluate, layoutOf } from '../../support/c-header.ts';

/** Structs that have grown since: the kernel takes them by their `argsz`. */
const GREW: ReadonlySet<string> = new Set([
  'vfio_device_info',
  'vfio_device_attach_iommufd_pt',
  'vfio_device_detach_iommufd_pt',
  'vfio_device_bind_iommufd',
]);

/** Those names that the header has: Debian 12's is of Linux 6.1, which has neither iommufd nor files of devices. */
const HEADERS = [
  { file: 'linux/vfio.h', prefix: /^VFIO_/, struct: /^vfio_/ },
  { file: 'linux/iommufd.h', prefix: /^IOMMU_/, struct: /^iommu_/ },
];

describe.each(HEADERS)('$file', ({ file, prefix, struct }) => {
  const path = `/usr/include/${file}`;
  const has = existsSync(path);

  test.skipIf(!has)('has the same numbers and layouts, as the C compiler sees it', () => {
    const header = readFileSync(path, 'utf8');
    const names = new Map(
      Object.entries({ ...IOCTLS, ...constants }).filter(
        ([name]) => prefix.test(name) && new RegExp(`\\b${name}\\b`).test(header),
      ),
    );
    const known = Object.values(structs).filter(
      each => each instanceof Struct && struct.test(each.name) && header.includes(`struct ${each.name} {`),
    );
    const expected = new Map([...names, ...known.flatMap(each => [...layoutOf(each)])]);
    for (const name of GREW) expected.delete(`sizeof(struct ${name})`);
    // A member that is newer than the header.
    if (!/struct vfio_device_info \{[^}]*cap_offset/.test(header)) {
      expected.delete('offsetof(struct vfio_device_info, cap_offset)');
    }
    expect(expected.size).toBeGreaterThan(40);
    expect(Object.fromEntries(evaluate([file], [...expected.keys()]))).toEqual(Object.fromEntries(expected));
  });
});
