import { resolve } from 'node:path';
import type { MachineConfigInput } from '../../vmm/machine/config.ts';

/** The same machine for a manager, whose working folder is another: with this process's paths in full. */
export function withAbsolutePaths(config: MachineConfigInput): MachineConfigInput {
  const { kernel, devices } = config;
  return {
    ...config,
    kernel: {
      ...kernel,
      path: resolve(kernel.path),
      ...(kernel.initrd !== undefined && { initrd: resolve(kernel.initrd) }),
    },
    ...(devices && {
      devices: devices.map(device => ('path' in device ? { ...device, path: resolve(device.path) } : device)),
    }),
  };
}
