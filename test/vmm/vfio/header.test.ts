import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { Struct } from '../../../src/vmm/kvm/c-struct.ts';
import * as constants from '../../../src/vmm/vfio/constants.ts';
import { IOCTLS } from '../../../src/vmm/vfio/ioctls.ts';
import * as structs from '../../../src/vmm/vfio/structs.ts';
import { missingForRig } from '../../rig/tools.ts';
import { evaluate, layoutOf } from '../../support/c-header.ts';
import { kernelHeaders } from '../../support/kernel-headers.ts';

/** Structs that have grown since: the kernel takes them by their `argsz`. */
const GREW: ReadonlySet<string> = new Set([
  'vfio_device_info',
  'vfio_device_attach_iommufd_pt',
  'vfio_device_detach_iommufd_pt',
  'vfio_device_bind_iommufd',
]);

const HEADERS = [
  { file: 'linux/vfio.h', prefix: /^VFIO_/, struct: /^vfio_/ },
  { file: 'linux/iommufd.h', prefix: /^IOMMU_/, struct: /^iommu_/ },
];

/** What is newer than the headers of Linux 6.12. */
const NEWER = {
  name: 'VFIO_DEVICE_BIND_FLAG_TOKEN',
  member: 'offsetof(struct vfio_device_bind_iommufd, token_uuid_ptr)',
  sizeOfMember: 'sizeof(((struct vfio_device_bind_iommufd *)0)->token_uuid_ptr)',
} as const;

const missing = missingForRig();

describe.skipIf(missing !== null).each(HEADERS)('$file', ({ file, prefix, struct }) => {
  let folders: string[];

  beforeAll(async () => {
    folders = await kernelHeaders();
  }, 120_000);

  test('has the same numbers and layouts, as the C compiler sees it', () => {
    const header = readFileSync(join(folders[0]!, file), 'utf8');
    const names = Object.entries({ ...IOCTLS, ...constants }).filter(([name]) => prefix.test(name));
    const known = Object.values(structs).filter(each => each instanceof Struct && struct.test(each.name));
    const expected = new Map([...names, ...known.flatMap(each => [...layoutOf(each)])]);
    for (const name of GREW) expected.delete(`sizeof(struct ${name})`);
    if (!/\btoken_uuid_ptr\b/.test(header)) for (const each of Object.values(NEWER)) expected.delete(each);
    expect(expected.size).toBeGreaterThan(30);
    expect(Object.fromEntries(evaluate([file], [...expected.keys()], folders))).toEqual(
      Object.fromEntries(expected),
    );
  });
});
