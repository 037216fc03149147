import { LocalEngine } from '../engine/local-engine.ts';
import type { VmInfo } from '../engine/vm-info.ts';
import { isAlive } from '../engine/vm-info.ts';
import { lockVm } from '../manager/vm-lock.ts';
import { outputFailure, printError, printLines } from '../text/output.ts';
import { printable } from '../text/printable.ts';
import { bytesOf, sizeText } from '../text/size.ts';
import { UsageError } from '../text/usage-error.ts';
import { ConfigError, type MachineConfigInput, parseMachineConfig } from '../vmm/machine/config.ts';
import { endingSignal } from './ending-signal.ts';
import { nameOfFile } from './name-of-file.ts';
import { onTerminal, requireTerminal } from './on-terminal.ts';
import { openUi } from './open-ui.ts';
import { reportEnd } from './report-end.ts';
import { runJoined } from './run-joined.ts';
import type { RunOptions } from './run-options.ts';
import { type OptionWords, problemText, QEMU_WORDS, RUN_WORDS } from './run-problems.ts';
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
    // A manager would say the same, in words that know nothing of a command line.
    parseMachineConfig(config);
    if (options.detach) return await runDetached(config);
    if (options.ui) return await runInUi(config);
    // Somebody may lose the connection to a terminal. A pipe or a file is a script's, whose VM ends with it.
    if (!options.foreground && onTerminal()) return await runJoined(config);
    // A name that was not chosen, but is the kernel's, may be there as often as one likes.
    return await runHere(new LocalEngine(options.name === undefined ? {} : { lock: lockVm }), config);
  } catch (error) {
    throw error instanceof ConfigError
      ? new UsageError(problemText(error.problems, inWords, config.devices ?? []))
      : error;
  }
}

/** The machine that is asked for, and how the command line calls its parts. */
async function machineOf(
  words: readonly string[],
  options: RunOptions,
  given: readonly string[],
): Promise<{ config: MachineConfigInput; words: OptionWords }> {
  const [kernel] = words;
  if (kernel === undefined)
    throw new UsageError("run needs a kernel, or QEMU's options; vring run --help shows how");
  if (words.length === 1 && !kernel.startsWith('-'))
    return { config: runConfig(kernel, options), words: RUN_WORDS };
  if (!words.some(word => word.startsWith('-')))
    throw new UsageError(
      `run takes one kernel, and ${words.length} words were given: ${words.map(printable).join(' ')}`,
    );
  const { qemuConfig } = await import('./run-qemu.ts');
  return { config: qemuConfig(words, options, given), words: QEMU_WORDS };
}

/** The machine that the command line asks for. */
function runConfig(kernel: string, options: RunOptions): MachineConfigInput {
  const { memory, hugepages } = options;
  if (hugepages !== undefined && memory % bytesOf(hugepages)! !== 0)
    throw new UsageError(`--memory ${sizeText(memory)}: expected a multiple of --hugepages ${hugepages}`);
  return {
    name: options.name ?? nameOfFile(kernel),
    cpus: options.cpus,
    memory: { bytes: memory, ...(hugepages && { hugepages }) },
    kernel: {
      path: kernel,
      ...(options.initrd !== undefined && { initrd: options.initrd }),
      ...(options.append !== undefined && { append: options.append }),
    },
    devices: [...(options.disk ?? []), ...(options.rng ? [{ type: 'virtio-rng' as const }] : [])],
    ...(options.cpuFeatures && { cpuFeatures: options.cpuFeatures }),
    hideHypervisor: options.kvm === 'off',
    seccomp: options.seccomp,
  };
}

async function runInUi(config: MachineConfigInput): Promise<number> {
  const engine = await managerOrNew();
  await openUi(engine, {}, await engine.start(config));
  return 0;
}

async function runDetached(config: MachineConfigInput): Promise<number> {
  await leaving(await managerOrNew(), engine => engine.start(config));
  printLines(`${config.name}: started; vring vm console ${config.name} joins its console`);
  return 0;
}

/** In this process. @returns the exit status: the guest's own code, 0 after a power-off, 1 after a crash, a signal's if one ended it. */
async function runHere(engine: LocalEngine, config: MachineConfigInput): Promise<number> {
  const ended = Promise.withResolvers<VmInfo>();
  engine.subscribe(event => {
    if (event.kind === 'vm' && !isAlive(event.vm)) ended.resolve(event.vm);
  });
  const id = await engine.start(config);
  if (process.stdin.isTTY) printError(`vring: ${config.name} runs; Ctrl-] leaves and ends it`);
  const joined = joinConsole(engine, id);
  const signal = endingSignal();
  const outcome = await Promise.race([ended.promise, joined.left, signal.status]);
  // From here on the terminal is the user's, and a signal ends vring at once, however long the VM takes to end.
  joined.restore();
  signal.ignore();
  await engine.close();
  if (typeof outcome !== 'number') return reportEnd(outcome);
  printError(`\nvring: left ${config.name}; it was ended`);
  if (outputFailure() !== null) return 1;
  // Whoever leaves does not wait for output to be read.
  process.exit(outcome);
}
