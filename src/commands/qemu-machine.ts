import { DefinitionError } from '../definitions/problem.ts';
import { QemuError } from '../definitions/qemu/error.ts';
import { thisHost } from '../definitions/qemu/host.ts';
import { type LeftOutNote, noteText } from '../definitions/qemu/notes.ts';
import { type QemuMachine, readQemuOptions } from '../definitions/qemu/read.ts';
import type { Definition } from '../definitions/schema.ts';
import { printError } from '../text/output.ts';
import { UsageError } from '../text/usage-error.ts';
import { featuresMissingHere } from '../vmm/cpu/host-cpu.ts';
import { answerHelp } from './qemu-help.ts';

/** The machine that QEMU options on this command line describe. @throws UsageError */
export function qemuMachine(
  words: readonly string[],
  name: string,
  deviceModules: readonly string[] = [],
): QemuMachine {
  answerHelp(words);
  try {
    return readQemuOptions(words, name, thisHost(), deviceModules);
  } catch (error) {
    const wrongUsage = error instanceof QemuError || error instanceof DefinitionError;
    throw wrongUsage ? new UsageError(error.message) : error;
  }
}

/** Reports the options that were left out. */
export function reportLeftOut(notes: readonly LeftOutNote[]): void {
  if (notes.length === 0) return;
  printError('vring: left out, or not as in QEMU:');
  for (const note of notes) printError(`  ${noteText(note)}`);
}

/** Reports the CPU features that this host cannot provide. */
export function reportMissingFeatures({ cpus: { model, features, enforce } }: Definition): void {
  // Starting the VM reports them.
  if (enforce) return;
  const signed = (sign: string) => features.filter(name => name.startsWith(sign)).map(name => name.slice(1));
  const missing = featuresMissingHere({ model, add: signed('+'), remove: signed('-') });
  if (missing === null || missing.length === 0) return;
  printError(
    `vring: this host does not support these features of CPU ${model ?? 'host'}: ${missing.join(', ')}`,
  );
}
