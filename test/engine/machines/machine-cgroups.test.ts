import { expect, test } from 'vitest';
import { MachineCgroups } from '../../../src/engine/machines/machine-cgroups.ts';
import { NoCgroups } from '../../../src/vmm/confinement/cgroup-parent.ts';
import { layerOf } from '../../../src/vmm/confinement/layer.ts';

test('without cgroups, the layer reports the reason, and does not try again', () => {
  let asked = 0;
  const cgroups = new MachineCgroups(() => {
    asked++;
    throw new NoCgroups('cgroup v2 is not mounted on this host');
  });
  const layers = [layerOf('network', 0), layerOf('cgroup', -1)];
  expect(cgroups.explain(layers)).toBe(layers);
  expect([cgroups.create(), cgroups.create(), asked]).toEqual([null, null, 1]);
  expect(cgroups.explain(layers)).toEqual([
    { name: 'network', state: 'on', reason: null },
    { name: 'cgroup', state: 'unavailable', reason: 'cgroup v2 is not mounted on this host' },
  ]);
});

test('an unrelated error is not mistaken for missing cgroups', () => {
  const cgroups = new MachineCgroups(() => {
    throw new TypeError('a mistake');
  });
  expect(() => cgroups.create()).toThrow(TypeError);
});
