import { kernelNeedsBios } from '../definitions/qemu/host.ts';
import { sameFile } from '../definitions/same-disk.ts';
import { isOnlyRead } from '../devices/backends/disk.ts';
import { DEFAULT_LAYOUT } from '../devices/input/layout-names.ts';
import { deviceTable } from '../devices/registry.ts';
import { LocalEngine } from '../engine/local-engine.ts';
import type { VmInfo } from '../engine/vm-info.ts';
import { isAlive } from '../engine/vm-info.ts';
import { hostDevices } from '../manager/host-devices.ts';
import { managerPaths, variablesFolder } from '../manager/paths.ts';
import { lockName } from '../manager/vm-lock.ts';
import { outputFailure, printError, printLines } from '../text/output.ts';
import { printable } from '../text/printable.ts';
import { bytesOf, sizeText } from '../text/size.ts';
import { UsageError } from '../text/usage-error.ts';
import { firmwareKind } from '../vmm/boot/firmware-files.ts';
import {
  ConfigError,
  type MachineConfig,
  type MachineConfigInput,
  parseMachineConfig,
} from '../vmm/machine/config.ts';
import type { VncSettings } from '../vmm/machine/vnc-settings.ts';
import type { VncServer } from '../vnc/server.ts';
import { endingSignal } from './ending-signal.ts';
import { nameOfFile } from './name-of-file.ts';
import { onTerminal, requireTerminal } from './on-terminal.ts';
import { openUi } from './open-ui.ts';
import { reportEnd } from './report-end.ts';
import { runJoined } from './run-joined.ts';
import type { RunOptions } from './run-options.ts';
import { FIRMWARE_WORDS, type OptionWords, problemText, QEMU_WORDS, RUN_WORDS } from './run-problems.ts';
import { joinConsole } from './terminal-console.ts';
import { leaving, managerOrNew } from './vm/manager.ts';

/**
 * @param words a kernel, or QEMU's options
 * @param given options on the command line
 * @returns the exit status
 */
export async function runVm(
  words: readonly string[],
  options: RunOptions,
  given: readonly string[],
): Promise<number> {
  if (options.ui) requireTerminal();
  const { config, words: inWords } = await machineOf(words, options, given);
  try {
    // The manager checks too, but its errors do not name command-line options.
    const { devices } = parseMachineConfig(config);
    refuseSameFile(devices);
    if (options.detach) return await runDetached(config);
    if (options.ui) return await runInUi(config);
    // A terminal connection can be lost, so the VM outlives it. In a script (pipe or file) the VM ends with the script.
    if (!options.foreground && onTerminal()) return await runJoined(config);
    // A default name (from the kernel) is not locked, so that several such VMs can run.
    const place = options.name === undefined ? {} : { takePlace: lockName };
    const variables = options.name === undefined ? {} : { variables: variablesFolder(managerPaths().state) };
    return await runHere(new LocalEngine({ ...place, ...variables, hostDevices: hostDevices() }), config);
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
  const boot = { kind: 'firmware' } as const;
  if (what === 'bios' || what === 'uefi') return { ...boot, firmware: what } as const;
  return { ...boot, firmware: firmwareKind(what) ?? 'bios', path: what } as const;
}

/** The machine of a command line with a kernel, which firmware boots where the command line or the kernel asks for some. */
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

/** The machine that the command line asks for. */
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

async function runInUi(config: MachineConfigInput): Promise<number> {
  const engine = await managerOrNew();
  await openUi(engine, {}, await engine.start(config));
  return 0;
}

async function runDetached(config: MachineConfigInput): Promise<number> {
  await leaving(await managerOrNew(), engine => engine.start(config));
  printLines(`${config.name}: started; vring vm console ${config.name} attaches to its console`);
  return 0;
}

/** In this process, as the VM is. Null: it cannot be, which the user is told. */
async function vncBeside(engine: LocalEngine, id: string, settings: VncSettings): Promise<VncServer | null> {
  const { startVnc } = await import('./vm/vnc.ts');
  try {
    const vm = engine.vms().find(each => each.id === id)!;
    const server = await startVnc(engine, vm, { ...settings, layout: settings.layout ?? DEFAULT_LAYOUT });
    printError(`vring: VNC at ${server.address}`);
    return server;
  } catch (error) {
    printError(`vring: no VNC: ${(error as Error).message}`);
    return null;
  }
}

/** In this process. @returns the exit status: the guest's own code, 0 after a power-off, 1 after a crash, a signal's if one ended it. */
async function runHere(engine: LocalEngine, config: MachineConfigInput): Promise<number> {
  const ended = Promise.withResolvers<VmInfo>();
  engine.subscribe(event => {
    if (event.kind === 'vm' && !isAlive(event.vm)) ended.resolve(event.vm);
  });
  const id = await engine.start(config);
  const vnc = config.vnc === undefined ? null : await vncBeside(engine, id, config.vnc);
  if (process.stdin.isTTY) printError(`vring: ${config.name} is running; Ctrl-] quits and kills it`);
  const joined = joinConsole(engine, id);
  const signal = endingSignal();
  const outcome = await Promise.race([ended.promise, joined.left, signal.status]);
  vnc?.close();
  // The terminal is restored, and a signal ends vring at once even if the VM takes long to end.
  joined.restore();
  signal.ignore();
  await engine.close();
  if (typeof outcome !== 'number') return reportEnd(outcome);
  printError(`\nvring: killed ${config.name}`);
  if (outputFailure() !== null) return 1;
  // Do not wait for output to be read after the user quit.
  process.exit(outcome);
}
