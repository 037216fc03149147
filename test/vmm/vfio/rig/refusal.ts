import { expect } from 'vitest';
import type { EmulatedHost } from '../../../rig/emulated-host.ts';
import { HOST_STATE } from '../../../rig/host-state.ts';
import { SPINNING_GUEST } from '../../../rig/serial-guest.ts';

/**
 * Starts a VM with a device of an emulated host, whose manager runs. The host's devices are then as before.
 * @param before a script for what keeps the VM from starting, and `after` one that ends that
 * @returns why it was refused
 */
export async function refusal(
  host: EmulatedHost,
  device: string,
  { before = 'true', after = 'true' } = {},
): Promise<string> {
  await host.check(before, { seconds: 300 });
  const state = await host.check(HOST_STATE);
  const start = `vring run --detach --name refused ${SPINNING_GUEST} -device vfio-pci,host=${device}`;
  const { status, stdout, stderr } = await host.run(start, { seconds: 400 });
  expect({ status, stdout }, stderr).toEqual({ status: 1, stdout: '' });
  expect(await host.check(HOST_STATE)).toBe(state);
  await host.check(after, { seconds: 300 });
  return stderr;
}
