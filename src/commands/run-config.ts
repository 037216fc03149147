import { kernelNeedsBios } from '../definitions/qemu/host.ts';
import { sameFile } from '../definitions/same-disk.ts';
import { isOnlyRead } from '../devices/backends/disk.ts';
import { deviceTable } from '../devices/registry.ts';
import { printable } from '../text/printable.ts';
import { bytesOf, sizeText } from '../text/size.ts';
import { UsageError } from '../text/usage-error.ts';
import { namedFirmware } from '../vmm/boot/firmware-files.ts';
import {
  ConfigError,
  type MachineConfig,
  type MachineConfigInput,
  parseMachineConfig,
} from '../vmm/machine/config.ts';
import { nameOfFile } from './name-of-file.ts';
import type { RunOptions } from './run-options.ts';
import { FIRMWARE_WORDS, type OptionWords, problemText, QEMU_WORDS, RUN_WORDS } from './run-problems.ts';

/**
 * Runs the machine that a command line of `vring run` describes.
 * @param words a kernel, or QEMU's options
 * @param given options on the command line
 * @throws UsageError with the command line's option names, also for configuration errors found by `run`
 */
export async function withMachineOf(
  words: readonly string[],
  options: RunOptions,
  given: readonly string[],
  run: (config: MachineConfigInput) => Promise<number>,
): Promise<number> {
  const { config, words: inWords } = await machineOf(words, options, given);
  try {
    // A manager checks too, but its errors do not name command-line options.
    const { devices } = parseMachineConfig(config);
    refuseSameFile(devices);
    return await run(config);
  } catch (error) {
    throw error instanceof ConfigError
      ? new UsageError(problemText(error.problems, inWords, config.devices ?? []))
      : error;
  }
}

/** @throws UsageError for two writable disks that are the same file */
function refuseSameFile(devices: MachineConfig['devices']): void {
  const disks = devices.map(device => deviceTable.disk(device)).filter(disk => disk !== null);
  const same = sameFile(
    disks.map((disk, index) => ({ key: `disk ${index + 1}`, file: disk.path, readonly: isOnlyRead(disk) })),
  );
  if (same !== null) throw new UsageError(same);
}

/** The machine to run, and the option names of this command line. */
async function machineOf(
  words: readonly string[],
  options: RunOptions,
  given: readonly string[],
): Promise<{ config: MachineConfigInput; words: OptionWords }> {
  const [kernel] = words;
  if (kernel === undefined) return { config: firmwareConfig(options), words: FIRMWARE_WORDS };
  if (words.length === 1 && !kernel.startsWith('-')) {
    if (options.deviceModule !== undefined)
      throw new UsageError(
        `--device-module needs a -device, which goes with QEMU's options: vring run --device-module ${options.deviceModule[0]} -kernel ${printable(kernel)} -device TYPE`,
      );
    return { config: kernelConfig(kernel, options), words: RUN_WORDS };
  }
  if (!words.some(word => word.startsWith('-')))
    throw new UsageError(
      `run takes one kernel, but got ${words.length} arguments: ${words.map(printable).join(' ')}`,
    );
  const { qemuConfig } = await import('./run-qemu.ts');
  return { config: qemuConfig(words, options, given), words: QEMU_WORDS };
}

/** The machine of a command line without a kernel. @throws UsageError if there is nothing to boot either */
function firmwareConfig(options: RunOptions): MachineConfigInput {
  const { firmware, disk = [] } = options;
  const [first] = disk;
  if (firmware === undefined && first === undefined)
    throw new UsageError('run needs a kernel, a --disk or QEMU options; see vring run --help');
  for (const option of ['initrd', 'append'] as const)
    if (options[option] !== undefined) throw new UsageError(`--${option} goes with a kernel: name one`);
  const boot = firmwareBoot(firmware ?? 'bios');
  return runConfig(nameOfFile(first?.path ?? firmware!), boot, options);
}

/** @param what a kind of firmware, or a file with one */
function firmwareBoot(what: string) {
  return { kind: 'firmware', ...namedFirmware(what) } as const;
}

/** The machine of a command line with a kernel, booted by firmware if the command line or the kernel requires it. */
function kernelConfig(kernel: string, options: RunOptions): MachineConfigInput {
  const { initrd, append, firmware = kernelNeedsBios(kernel) ? 'bios' : undefined } = options;
  const files = {
    path: kernel,
    ...(initrd !== undefined && { initrd }),
    ...(append !== undefined && { append }),
  };
  const boot =
    firmware === undefined
      ? ({ kind: 'kernel', ...files } as const)
      : { ...firmwareBoot(firmware), kernel: files };
  return runConfig(nameOfFile(kernel), boot, options);
}

/** The machine described by the command line. */
function runConfig(
  defaultName: string,
  boot: MachineConfigInput['boot'],
  options: RunOptions,
): MachineConfigInput {
  const { memory, hugepages } = options;
  if (hugepages !== undefined && memory % bytesOf(hugepages)! !== 0)
    throw new UsageError(`--memory ${sizeText(memory)}: expected a multiple of --hugepages ${hugepages}`);
  return {
    name: options.name ?? defaultName,
    cpus: options.cpus,
    memory: { bytes: memory, ...(hugepages && { hugepages }) },
    boot,
    devices: [...(options.disk ?? []), ...(options.rng ? [{ type: 'virtio-rng' as const }] : [])],
    ...(options.cpuFeatures && { cpuFeatures: options.cpuFeatures }),
    hideHypervisor: options.kvm === 'off',
    confine: options.confine,
  };
}
