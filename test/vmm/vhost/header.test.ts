import { expect, test } from 'vitest';
import { Struct } from '../../../src/vmm/kvm/c-struct.ts';
import * as vhost from '../../../src/vmm/vhost/ioctls.ts';
import { evaluate, layoutOf } from '../../support/c-header.ts';

test('linux/vhost.h has the same numbers and layouts, as the C compiler sees it', () => {
  const { IOCTLS, VHOST_F_LOG_ALL, VHOST_VRING_F_LOG, ...others } = vhost;
  const structs = Object.values(others).filter(each => each instanceof Struct);
  const expected = new Map([
    ...Object.entries({ ...IOCTLS, VHOST_F_LOG_ALL, VHOST_VRING_F_LOG }),
    ...structs.flatMap(each => [...layoutOf(each)]),
  ]);
  expect(structs).toHaveLength(5);
  expect(Object.fromEntries(evaluate(['linux/vhost.h'], [...expected.keys()]))).toEqual(
    Object.fromEntries(expected),
  );
});
