import fs from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { deviceTable } from '../../devices/registry.ts';
import type { MachineConfig } from '../../vmm/machine/config.ts';

/** The default folder of a VM's TPM state. */
export function tpmFolder(folder: string, vm: string): string {
  return join(folder, vm);
}

/** The same machine with a state folder for its TPM. @param folder of all VMs' TPM states; null if there is none */
export function withTpmState(config: MachineConfig, folder: string | null): MachineConfig {
  if (folder === null) return config;
  const devices = config.devices.map(device => {
    const options = deviceTable.tpm(device);
    if (options?.type !== 'emulator') return device;
    // The VM may have been renamed, or restored under another name.
    const isOwn = options.state === undefined || dirname(resolve(options.state)) === resolve(folder);
    return isOwn ? { ...device, tpm: { ...options, state: tpmFolder(folder, config.name) } } : device;
  });
  return { ...config, devices };
}

/** Called when a VM is deleted. */
export function removeTpmState(folder: string | null, vm: string): void {
  if (folder !== null) fs.rmSync(tpmFolder(folder, vm), { recursive: true, force: true });
}

/** Called when a VM is renamed. */
export function renameTpmState(folder: string | null, from: string, to: string): void {
  if (folder === null || !fs.existsSync(tpmFolder(folder, from))) return;
  fs.renameSync(tpmFolder(folder, from), tpmFolder(folder, to));
}
