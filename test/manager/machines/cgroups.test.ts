import { expect, test } from 'vitest';
import { cgroupsUnder } from '../../../src/manager/machines/cgroups.ts';

const unit = { name: 'vring.service', user: false };

test('does not divide the cgroup of a unit if systemd could not restart it afterwards', () => {
  expect(() => cgroupsUnder(unit, '0::/system.slice/vring.service\n')).toThrow(
    'systemd could not restart vring.service with its cgroup divided: that requires systemd 254',
  );
  // With a newer systemd it is divided, if this host has a cgroup v2 that allows it.
  const outcome = (divide: () => unknown) => {
    try {
      divide();
      return null;
    } catch (error) {
      return (error as Error).message;
    }
  };
  expect(outcome(() => cgroupsUnder(unit, '0::/system.slice/vring.service/manager\n'))).toBe(
    outcome(() => cgroupsUnder(null)),
  );
});
