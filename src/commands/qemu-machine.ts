import { DefinitionError } from '../definitions/problem.ts';
import { QemuError } from '../definitions/qemu/error.ts';
import { thisHost } from '../definitions/qemu/host.ts';
import { type LeftOutNote, noteText } from '../definitions/qemu/notes.ts';
import { type QemuMachine, readQemuOptions } from '../definitions/qemu/read.ts';
import type { Definition } from '../definitions/schema.ts';
import { printError } from '../text/output.ts';
import { UsageError } from '../text/usage-error.ts';
import { featuresMissingHere } from '../vmm/cpu/host-cpu.ts';

/** What options of QEMU's on this command line ask for. @throws UsageError */
export function qemuMachine(words: readonly string[], name: string): QemuMachine {
  try {
    return readQemuOptions(words, name, thisHost());
  } catch (error) {
    const wrongUsage = error instanceof QemuError || error instanceof DefinitionError;
    throw wrongUsage ? new UsageError(error.message) : error;
  }
}

/** Says what of the options was left out. */
export function reportLeftOut(notes: readonly LeftOutNote[]): void {
  if (notes.length === 0) return;
  printError('vring: left out, as a guest does not miss it:');
  for (const note of notes) printError(`  ${noteText(note)}`);
}

/** Says which features of its CPU model a guest does not get on this host. */
export function reportMissingFeatures({ cpus: { model, features, enforce } }: Definition): void {
  // The start says it.
  if (enforce) return;
  const signed = (sign: string) => features.filter(name => name.startsWith(sign)).map(name => name.slice(1));
  const missing = featuresMissingHere({ model, add: signed('+'), remove: signed('-') });
  if (missing === null || missing.length === 0) return;
  printError(`vring: this host cannot give a guest ${missing.join(', ')} of the CPU ${model ?? 'host'}`);
}
