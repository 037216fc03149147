import type { DefinedVm, Definitions } from '../engine/definitions.ts';
import { printable } from '../text/printable.ts';
import type { MachineConfigInput } from '../vmm/machine/config.ts';
import { VM_NAME } from '../vmm/machine/vm-name.ts';
import { DefinitionFileError, fileOf, listNames, readFile, stampOf } from './files.ts';
import { definitionsFolder } from './folder.ts';
import { DefinitionError } from './problem.ts';
import { readDefinition } from './read.ts';
import type { Definition } from './schema.ts';
import { toMachine } from './to-machine.ts';
import { watchFolder } from './watch.ts';
import { shown } from './words.ts';
import { removeFile, writeFile } from './write-file.ts';

/** The definitions of a folder, a file each. */
export class DefinitionStore implements Definitions {
  readonly folder: string;
  /** What each file said, until it changes. */
  readonly #known = new Map<string, { readonly stamp: string | null; readonly vm: DefinedVm }>();

  constructor(folder = definitionsFolder()) {
    this.folder = folder;
  }

  /** Every definition, by name; those that can't be used too. @throws DefinitionFileError when the folder can't be read */
  list(): readonly DefinedVm[] {
    const names = listNames(this.folder);
    const gone = new Set(this.#known.keys());
    const vms = names.map(name => {
      gone.delete(name);
      const stamp = stampOf(this.file(name));
      const known = this.#known.get(name);
      if (known !== undefined && stamp !== null && known.stamp === stamp) return known.vm;
      const vm = this.#describe(name);
      this.#known.set(name, { stamp, vm });
      return vm;
    });
    for (const name of gone) this.#known.delete(name);
    return vms;
  }

  /** @throws DefinitionFileError, DefinitionError */
  definition(name: string): Definition {
    checkName(name);
    return readDefinition(readFile(this.folder, name), { file: this.file(name), name });
  }

  /** The machine that a definition describes, read now. @throws DefinitionFileError, DefinitionError, NotYetError */
  machine(name: string): MachineConfigInput {
    return toMachine(this.definition(name));
  }

  /** A file that is broken can be read too, so that it can be mended. @throws DefinitionFileError */
  text(name: string): string {
    checkName(name);
    return readFile(this.folder, name).toString('utf8');
  }

  /** Checks a definition and saves it; an old file is kept as `NAME.yaml~`. @throws DefinitionFileError, DefinitionError */
  save(name: string, yaml: string, { replace }: { readonly replace: boolean }): void {
    checkName(name);
    readDefinition(yaml, { file: `${name}.yaml`, name });
    writeFile(this.folder, name, yaml, replace);
  }

  /** The file is kept as `NAME.yaml~`. @throws DefinitionFileError */
  remove(name: string): void {
    checkName(name);
    removeFile(this.folder, name);
  }

  /**
   * Calls `changed` when somebody has changed something. While the folder can't be read, what was known of it holds.
   * @returns what ends that
   */
  watch(changed: () => void): () => void {
    return watchFolder(this.folder, () => {
      if (this.#isReadable()) changed();
    });
  }

  file(name: string): string {
    return fileOf(this.folder, name);
  }

  #describe(name: string): DefinedVm {
    try {
      const { cpus, memory, autostart, 'on-crash': onCrash } = this.definition(name);
      return { name, problem: null, vcpus: cpus.count, memoryBytes: memory.size, autostart, onCrash };
    } catch (error) {
      if (!(error instanceof DefinitionError || error instanceof DefinitionFileError)) throw error;
      const nothing = { vcpus: 0, memoryBytes: 0, autostart: false, onCrash: 'keep' } as const;
      return { name: printable(name), problem: printable(error.message), ...nothing };
    }
  }

  #isReadable(): boolean {
    try {
      listNames(this.folder);
      return true;
    } catch {
      return false;
    }
  }
}

/** @throws DefinitionFileError; also what keeps a name from leading out of the folder */
function checkName(name: string): void {
  if (!VM_NAME.pattern.test(name)) {
    throw new DefinitionFileError(`${shown(name)} can't be a VM's name: expected ${VM_NAME.rule}`);
  }
}
