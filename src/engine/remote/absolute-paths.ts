import { resolve } from 'node:path';
import { type DeviceConfig, deviceTable } from '../../devices/registry.ts';
import type { MachineConfigInput } from '../../vmm/machine/config.ts';

/** The same machine for a manager, whose working folder is another: with this process's paths in full. */
export function withAbsolutePaths(config: MachineConfigInput): MachineConfigInput {
  const { boot, devices, deviceModules } = config;
  return {
    ...config,
    boot:
      boot.kind === 'firmware'
        ? { ...boot, ...(boot.path !== undefined && { path: resolve(boot.path) }) }
        : {
            ...boot,
            path: resolve(boot.path),
            ...(boot.initrd !== undefined && { initrd: resolve(boot.initrd) }),
          },
    ...(deviceModules && { deviceModules: deviceModules.map(file => resolve(file)) }),
    ...(devices && { devices: devices.map(withAbsolutePath) }),
  };
}

/** The same of a device. */
export function withAbsolutePath(device: DeviceConfig): DeviceConfig {
  const disk = deviceTable.disk(device);
  return disk === null ? device : { ...device, path: resolve(disk.path) };
}
