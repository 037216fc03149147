import fs from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { deviceTable } from '../../devices/registry.ts';
import type { MachineConfig } from '../../vmm/machine/config.ts';

/** Where the TPM of a VM keeps its state, unless its definition says where. */
export function tpmFolder(folder: string, vm: string): string {
  return join(folder, vm);
}

/** The same machine whose TPM has a place for its state. @param folder of those of all VMs; null: there is none */
export function withTpmState(config: MachineConfig, folder: string | null): MachineConfig {
  if (folder === null) return config;
  const devices = config.devices.map(device => {
    const options = deviceTable.tpm(device);
    if (options?.type !== 'emulator') return device;
    // The VM may have got another name, or be restored as another one.
    const isOwn = options.state === undefined || dirname(resolve(options.state)) === resolve(folder);
    return isOwn ? { ...device, tpm: { ...options, state: tpmFolder(folder, config.name) } } : device;
  });
  return { ...config, devices };
}

/** The VM is gone. */
export function removeTpmState(folder: string | null, vm: string): void {
  if (folder !== null) fs.rmSync(tpmFolder(folder, vm), { recursive: true, force: true });
}

/** The VM has another name. */
export function renameTpmState(folder: string | null, from: string, to: string): void {
  if (folder === null || !fs.existsSync(tpmFolder(folder, from))) return;
  fs.renameSync(tpmFolder(folder, from), tpmFolder(folder, to));
}
