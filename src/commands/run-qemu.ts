import { resolve } from 'node:path';
import { toMachine } from '../definitions/to-machine.ts';
import { UsageError } from '../text/usage-error.ts';
import type { MachineConfigInput } from '../vmm/machine/config.ts';
import { nameOfFile } from './name-of-file.ts';
import { qemuMachine, reportLeftOut, reportMissingFeatures } from './qemu-machine.ts';
import type { RunOptions } from './run-options.ts';

/** What to write instead of an option of `vring run` that conflicts with QEMU options. */
const INSTEAD: Readonly<Record<string, string>> = {
  initrd: '--initrd: write -initrd',
  append: '--append: write -append',
  disk: '--disk: write -drive file=...,if=virtio',
  firmware: '--firmware: write -bios',
  cpus: '--cpus: write -smp',
  memory: '--memory: write -m',
  cpuFeatures: '--cpu-features: write -cpu host,-FEATURE',
  kvm: '--kvm: write -cpu host,kvm=off',
  rng: '--no-rng: leave out -device virtio-rng-pci',
};

/** The machine that QEMU options describe. @param given options of `vring run` itself on the command line */
export function qemuConfig(
  words: readonly string[],
  options: RunOptions,
  given: readonly string[],
): MachineConfigInput {
  const mixed = given.map(name => INSTEAD[name]).filter(text => text !== undefined);
  if (mixed.length > 0) throw new UsageError(`these options conflict with QEMU options: ${mixed.join('; ')}`);
  const at = words.findIndex(word => /^--?kernel$/.test(word));
  const kernel = at < 0 ? undefined : words[at + 1];
  const { definition, leftOut } = qemuMachine(
    words,
    options.name ?? nameOfFile(kernel ?? 'vm'),
    options.deviceModule?.map(file => resolve(file)),
  );
  reportLeftOut(leftOut);
  const machine = toMachine(definition);
  reportMissingFeatures(definition);
  return {
    ...machine,
    ...(options.name !== undefined && { name: options.name }),
    ...(options.hugepages && { memory: { bytes: machine.memory!.bytes, hugepages: options.hugepages } }),
    confine: options.confine,
  };
}
