import { resolve } from 'node:path';
import { type DeviceConfig, deviceTable } from '../../devices/registry.ts';
import type { MachineConfigInput } from '../../vmm/machine/config.ts';

/** The same machine with absolute paths, for a manager with another working folder. */
export function withAbsolutePaths(config: MachineConfigInput): MachineConfigInput {
  const { boot, devices, deviceModules } = config;
  return {
    ...config,
    boot:
      boot.kind === 'firmware'
        ? firmwareWithAbsolutePaths(boot)
        : {
            ...boot,
            path: resolve(boot.path),
            ...(boot.initrd !== undefined && { initrd: resolve(boot.initrd) }),
          },
    ...(deviceModules && { deviceModules: deviceModules.map(file => resolve(file)) }),
    ...(devices && { devices: devices.map(withAbsolutePath) }),
  };
}

function firmwareWithAbsolutePaths(
  boot: Extract<MachineConfigInput['boot'], { kind: 'firmware' }>,
): MachineConfigInput['boot'] {
  const { path, variables, kernel, settings } = boot;
  return {
    ...boot,
    ...(path !== undefined && { path: resolve(path) }),
    ...(settings && {
      settings: settings.map(setting => ({
        ...setting,
        ...(setting.path !== undefined && { path: resolve(setting.path) }),
      })),
    }),
    ...(variables?.file !== undefined && { variables: { ...variables, file: resolve(variables.file) } }),
    ...(kernel && {
      kernel: {
        ...kernel,
        path: resolve(kernel.path),
        ...(kernel.initrd !== undefined && { initrd: resolve(kernel.initrd) }),
      },
    }),
  };
}

/** The same for a device. */
export function withAbsolutePath(device: DeviceConfig): DeviceConfig {
  const disk = deviceTable.disk(device);
  const { romfile } = device;
  return {
    ...device,
    ...(disk !== null && { path: resolve(disk.path) }),
    ...(typeof romfile === 'string' && romfile !== '' && { romfile: resolve(romfile) }),
  };
}
