import fs from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { makeFolders } from '../../files/make-folders.ts';
import { replaceFile } from '../../files/replace-file.ts';
import { firmwareFile, variablesTemplate } from '../../vmm/boot/firmware-files.ts';
import type { MachineConfig } from '../../vmm/machine/config.ts';

/** The default path of a VM's UEFI variables. */
export function variablesFile(folder: string, vm: string): string {
  return join(folder, `${vm}.fd`);
}

/**
 * The same machine with all firmware files named: a VM with UEFI gets its own variables file, copied from the
 * firmware's template if it does not exist yet.
 * @param folder of those files; null: the variables end with the machine. @throws BootError, or why the file cannot be
 * created
 */
export function withFirmwareFiles(config: MachineConfig, folder: string | null): MachineConfig {
  const { boot, name } = config;
  if (boot.kind !== 'firmware' || boot.firmware !== 'uefi') return config;
  const path = firmwareFile(boot, fs.existsSync);
  const template = variablesTemplate(boot, path, fs.existsSync);
  const given = boot.variables?.file;
  // The VM may have been renamed, or restored under another name.
  const isOwn = given === undefined || (folder !== null && dirname(resolve(given)) === resolve(folder));
  const own = folder === null || template === null ? undefined : variablesFile(folder, name);
  const file = isOwn ? own : given;
  if (file !== undefined) provide(file, template, path);
  const variables = {
    ...(file !== undefined && { file }),
    ...(file === undefined && template !== null && { template }),
  };
  return { ...config, boot: { ...boot, path, variables } };
}

/** Creates the file if it does not exist. @throws when it does not fit the firmware */
function provide(file: string, template: string | null, firmware: string): void {
  const there = fs.statSync(file, { throwIfNoEntry: false });
  if (there !== undefined) {
    if (template === null || there.size === fs.statSync(template).size) return;
    throw new Error(
      `${file} has variables of a firmware other than ${firmware}: move it away to start with new ones, or use the firmware that it belongs to`,
    );
  }
  if (template === null)
    throw new Error(`${file} does not exist, and ${firmware} comes with no variables to copy it from`);
  try {
    makeFolders(dirname(file), 0o700);
    replaceFile(file, fs.readFileSync(template), { mode: 0o600, fresh: true });
  } catch (error) {
    throw new Error(`the UEFI variables cannot be written to ${file}: ${(error as Error).message}`);
  }
}

/** Called when a VM is deleted. */
export function removeVariables(folder: string | null, vm: string): void {
  if (folder !== null) fs.rmSync(variablesFile(folder, vm), { force: true });
}

/** Called when a VM is renamed. */
export function renameVariables(folder: string | null, from: string, to: string): void {
  if (folder === null || !fs.existsSync(variablesFile(folder, from))) return;
  fs.renameSync(variablesFile(folder, from), variablesFile(folder, to));
}

/** The same machine for another host, where the file that vring keeps has another path: the contents are in its state. */
export function withoutOwnVariables(config: MachineConfig, folder: string | null): MachineConfig {
  const { boot, name } = config;
  if (folder === null || boot.kind !== 'firmware' || boot.variables?.file !== variablesFile(folder, name))
    return config;
  const { file: _, ...variables } = boot.variables;
  return { ...config, boot: { ...boot, variables } };
}
