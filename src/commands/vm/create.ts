import { seenFormat } from '../../definitions/create/image-info.ts';
import { DefinitionError } from '../../definitions/problem.ts';
import { QemuError } from '../../definitions/qemu/error.ts';
import { readQemuOptions } from '../../definitions/qemu/read.ts';
import type { Definition } from '../../definitions/schema.ts';
import { UsageError } from '../usage-error.ts';
import type { VmBook } from './book.ts';
import { type DefineOptions, defineVm } from './define.ts';

export type CreateOptions = DefineOptions;

/** Makes the definition of a new VM. @param qemu options of QEMU's that describe it */
export async function createVm(
  book: VmBook,
  name: string,
  qemu: readonly string[],
  options: CreateOptions,
): Promise<void> {
  await defineVm(book, definitionOf(name, qemu), options);
}

function definitionOf(name: string, qemu: readonly string[]): Definition {
  try {
    return { ...readQemuOptions(qemu, name, { cwd: process.cwd(), imageFormat: seenFormat }), name };
  } catch (error) {
    const wrongUsage = error instanceof QemuError || error instanceof DefinitionError;
    throw wrongUsage ? new UsageError(error.message) : error;
  }
}
