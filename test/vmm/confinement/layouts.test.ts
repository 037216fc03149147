import { expect, it } from 'vitest';
import { confineOptionsStruct, confineReportStruct } from '../../../src/vmm/confinement/confine-self.ts';
import { rlimitStruct } from '../../../src/vmm/confinement/rlimits.ts';
import { spawnOptionsStruct, spawnReportStruct } from '../../../src/vmm/confinement/spawn-confined.ts';
import type { AnyStruct } from '../../../src/vmm/kvm/c-struct.ts';
import { nativeLayout } from '../../../src/vmm/native/native.ts';
import { offsetsOf } from '../../support/struct-offsets.ts';

const layout = JSON.parse(nativeLayout());

it.each<[string, AnyStruct]>([
  ['rlimit', rlimitStruct],
  ['spawnOptions', spawnOptionsStruct],
  ['spawnReport', spawnReportStruct],
  ['confineOptions', confineOptionsStruct],
  ['confineReport', confineReportStruct],
])('%s has the same layout on both sides', (name, struct) => {
  expect(offsetsOf(struct)).toEqual(layout[name]);
});
