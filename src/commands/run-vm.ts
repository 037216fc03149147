import { basename } from 'node:path';
import type { Engine, VmInfo } from '../engine/engine.ts';
import { LocalEngine } from '../engine/local-engine.ts';
import { ConfigError, type ConfigProblem, type MachineConfigInput } from '../vmm/config.ts';
import { endingSignal } from './ending-signal.ts';
import { openUi } from './open-ui.ts';
import { requireTerminal } from './require-terminal.ts';
import type { RunOptions } from './run.ts';
import { joinConsole } from './terminal-console.ts';
import { UsageError } from './usage-error.ts';

/** @returns the exit status */
export async function runVm(kernel: string, options: RunOptions): Promise<number> {
  if (options.ui) requireTerminal();
  const engine = new LocalEngine();
  const config = runConfig(kernel, options);
  try {
    return options.ui ? await runInUi(engine, config) : await runOnTerminal(engine, config);
  } catch (error) {
    throw error instanceof ConfigError ? new UsageError(inOptions(error.problems, options)) : error;
  }
}

/** The machine that the command line asks for. */
function runConfig(kernel: string, options: RunOptions): MachineConfigInput {
  return {
    name: options.name ?? defaultName(kernel),
    cpus: options.cpus,
    memory: { bytes: options.memory, ...(options.hugepages && { hugepages: options.hugepages }) },
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

/** The options that the keys of a configuration come from. */
const OPTIONS: Readonly<Record<string, string>> = {
  name: '--name',
  cpus: '--cpus',
  memory: '--memory',
  'kernel.path': 'kernel',
  'kernel.initrd': '--initrd',
};

/** What is wrong with a configuration, in the words of the command line. */
function inOptions(problems: readonly ConfigProblem[], { disk = [] }: RunOptions): string {
  const texts = problems.map(({ path: [key, index, setting], message }) => {
    if (key === 'devices' && setting !== undefined) {
      return `--disk ${disk[Number(index)]?.path}: ${String(setting)}: ${message}`;
    }
    const name = `${String(key)}.${String(index)}`;
    return `${OPTIONS[name] ?? OPTIONS[String(key)] ?? name}: ${message}`;
  });
  return texts.join('; ');
}

/** A valid VM name made of a file's. */
function defaultName(kernel: string): string {
  const name = basename(kernel)
    .replace(/[^A-Za-z0-9._-]/g, '-')
    .replace(/^[^A-Za-z0-9]+/, '');
  return name.slice(0, 63) || 'vm';
}

async function runInUi(engine: Engine, config: MachineConfigInput): Promise<number> {
  await openUi(engine, {}, await engine.start(config));
  return 0;
}

/** @returns the exit status: the guest's own code, 0 after a power-off, 1 after a crash, a signal's if one ended it. */
async function runOnTerminal(engine: LocalEngine, config: MachineConfigInput): Promise<number> {
  const ended = Promise.withResolvers<VmInfo>();
  engine.subscribe(event => {
    if (event.kind === 'vm' && (event.vm.state === 'off' || event.vm.state === 'crashed'))
      ended.resolve(event.vm);
  });
  const id = await engine.start(config);
  if (process.stdin.isTTY) console.error(`vring: ${config.name} runs; Ctrl-] leaves and ends it\r`);
  const joined = joinConsole(engine, id);
  const signal = endingSignal();
  const outcome = await Promise.race([ended.promise, joined.left, signal.status]);
  // From here on the terminal is the user's, and a signal ends vring at once, however long the VM takes to end.
  joined.restore();
  signal.ignore();
  await engine.close();
  if (typeof outcome !== 'number') return report(outcome);
  console.error(`\nvring: left ${config.name}; it was ended`);
  // Whoever leaves does not wait for output to be read.
  process.exit(outcome);
}

function report(vm: VmInfo): number {
  if (vm.state === 'crashed') {
    console.error(`\nvring: ${vm.name} crashed: ${vm.reason}`);
    if (vm.detail) console.error(vm.detail);
    return 1;
  }
  return vm.exitCode ?? 0;
}
