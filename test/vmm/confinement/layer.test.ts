import { constants } from 'node:os';
import { expect, it } from 'vitest';
import { describeLayers, type Layer, layerOf, mergeLayers } from '../../../src/vmm/confinement/layer.ts';

const { errno } = constants;

it('a layer is on, off, or unavailable for a reason', () => {
  expect(layerOf('landlock', 0)).toEqual({ name: 'landlock', state: 'on', reason: null });
  expect(layerOf('landlock', -1)).toEqual({ name: 'landlock', state: 'off', reason: null });
  const reasons = (name: Layer['name'], ...numbers: number[]) =>
    numbers.map(number => layerOf(name, number).reason);
  expect(reasons('landlock', errno.ENOSYS, errno.EOPNOTSUPP)).toEqual([
    'this kernel has no Landlock: use Linux 5.13 or newer with CONFIG_SECURITY_LANDLOCK',
    "Landlock is off: add landlock to lsm= on the kernel's command line",
  ]);
  expect(reasons('network', errno.EPERM, errno.ENOSPC)).toEqual([
    'it needs root or a user namespace, and no sandbox around vring that forbids it (RestrictNamespaces= of a systemd unit)',
    'the limit on namespaces is reached: raise user.max_*_namespaces with sysctl',
  ]);
  expect(reasons('rlimits', errno.EIO)).toEqual(['EIO (i/o error)']);
});

it('the layers of a start and of the process itself are combined', () => {
  const merged = mergeLayers(
    [layerOf('network', 0), layerOf('rlimits', 0), layerOf('no-new-privs', errno.EINVAL)],
    [layerOf('rlimits', -1), layerOf('no-new-privs', 0), layerOf('uid', -1)],
  );
  expect(merged.map(({ name, state }) => [name, state])).toEqual([
    ['network', 'on'],
    ['uid', 'off'],
    ['no-new-privs', 'unavailable'],
    ['rlimits', 'on'],
  ]);
});

it('all layers fit in a line', () => {
  expect(describeLayers([layerOf('uid', -1), layerOf('seccomp', 0)])).toBe('confined');
  expect(
    describeLayers([layerOf('uid', errno.EPERM), layerOf('landlock', errno.ENOSYS), layerOf('seccomp', 0)]),
  ).toBe('confined, without uid of its own, Landlock');
  expect(describeLayers([layerOf('seccomp', -1)])).toBe('not confined');
  expect(describeLayers([layerOf('seccomp', errno.EINVAL)])).toBe(
    'not confined: this kernel was built without seccomp filters',
  );
});
