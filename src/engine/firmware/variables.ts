import fs from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { replaceFile } from '../../files/replace-file.ts';
import { firmwareFile, variablesTemplate } from '../../vmm/boot/firmware-files.ts';
import type { MachineConfig } from '../../vmm/machine/config.ts';

/** Where the variables of a VM's UEFI firmware are, unless its definition says where. */
export function variablesFile(folder: string, vm: string): string {
  return join(folder, `${vm}.fd`);
}

/**
 * The same machine with all files of its firmware named: a VM with UEFI gets a file of variables of its own, copied from what comes with the
 * firmware when it is not there yet.
 * @param folder of those files; null: its variables end with its machine. @throws BootError, or what keeps the file from being made
 */
export function withFirmwareFiles(config: MachineConfig, folder: string | null): MachineConfig {
  const { boot, name } = config;
  if (boot.kind !== 'firmware' || boot.firmware !== 'uefi') return config;
  const path = firmwareFile(boot, fs.existsSync);
  const template = variablesTemplate(boot, path, fs.existsSync);
  const given = boot.variables?.file;
  // The VM may have got another name, or be restored as another one.
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

/** Makes the file if it is not there. @throws when it does not fit the firmware */
function provide(file: string, template: string | null, firmware: string): void {
  const there = fs.statSync(file, { throwIfNoEntry: false });
  if (there !== undefined) {
    if (template === null || there.size === fs.statSync(template).size) return;
    throw new Error(
      `${file} has the variables of other firmware than ${firmware}: move it away to start with new ones, or give the firmware that it belongs to`,
    );
  }
  if (template === null)
    throw new Error(`${file} does not exist, and ${firmware} comes with no variables to copy it from`);
  try {
    fs.mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    replaceFile(file, fs.readFileSync(template), { mode: 0o600, fresh: true });
  } catch (error) {
    throw new Error(`the variables of UEFI cannot be written to ${file}: ${(error as Error).message}`);
  }
}

/** The VM is gone. */
export function removeVariables(folder: string | null, vm: string): void {
  if (folder !== null) fs.rmSync(variablesFile(folder, vm), { force: true });
}

/** The VM has another name. */
export function renameVariables(folder: string | null, from: string, to: string): void {
  if (folder === null || !fs.existsSync(variablesFile(folder, from))) return;
  fs.renameSync(variablesFile(folder, from), variablesFile(folder, to));
}
