import type { DefinedVm, Definitions } from '../engine/definitions.ts';
import { printable } from '../text/printable.ts';
import type { MachineConfigInput } from '../vmm/machine/config.ts';
import { VM_NAME } from '../vmm/machine/vm-name.ts';
import { renamedText } from './change/rename.ts';
import { DefinitionFileError, fileOf, listNames, readFile, stampOf } from './files.ts';
import { definitionsFolder } from './folder.ts';
import { DefinitionError } from './problem.ts';
import { readDefinition } from './read.ts';
import type { Definition } from './schema.ts';
import { FilePresence, type SourceFile, sourceFiles } from './source-files.ts';
import { notYet, toMachine, unsupported } from './to-machine.ts';
import { watchFolder } from './watch.ts';
import { shown } from './words.ts';
import { removeFile, writeFile } from './write-file.ts';

/** A definition as it was last read. */
type Known = {
  readonly stamp: string | null;
  readonly vm: DefinedVm;
  /** What this version does not support of it. */
  readonly lacks: readonly string[];
  readonly files: readonly SourceFile[];
};

/** The definitions of a folder, a file each. */
export class DefinitionStore implements Definitions {
  readonly folder: string;
  /** What each file said, until it changes. */
  readonly #known = new Map<string, Known>();
  readonly #presence = new FilePresence();

  constructor(folder = definitionsFolder()) {
    this.folder = folder;
  }

  /** Every definition, by name; those that can't be used too. @throws DefinitionFileError when the folder can't be read */
  list(): readonly DefinedVm[] {
    const names = listNames(this.folder);
    const gone = new Set(this.#known.keys());
    this.#presence.begin();
    const vms = names.map(name => {
      gone.delete(name);
      const stamp = stampOf(this.file(name));
      const known = this.#known.get(name);
      const described =
        known !== undefined && stamp !== null && known.stamp === stamp ? known : this.#describe(name, stamp);
      const current = this.#withBlockers(described);
      this.#known.set(name, current);
      return current.vm;
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

  /** A file that is not valid can be read too, so that it can be fixed. @throws DefinitionFileError */
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

  /** Gives a definition another name; the old file is kept as `NAME.yaml~`. @throws DefinitionFileError, DefinitionError */
  rename(from: string, to: string): void {
    const text = renamedText(this.text(from), this.file(from), this.definition(from), to);
    this.save(to, text, { replace: false });
    this.remove(from);
  }

  /** The file is kept as `NAME.yaml~`. @throws DefinitionFileError */
  remove(name: string): void {
    checkName(name);
    removeFile(this.folder, name);
  }

  /**
   * Calls `changed` when somebody has changed a definition, or a file that one names has come or gone. While the folder cannot be
   * read, what was known of it holds.
   * @returns what ends that
   */
  watch(changed: () => void): () => void {
    const changedIfReadable = () => {
      if (this.#isReadable()) changed();
    };
    const unwatchFolder = watchFolder(this.folder, changedIfReadable);
    const unwatchFiles = this.#presence.watch(changedIfReadable);
    return () => {
      unwatchFolder();
      unwatchFiles();
    };
  }

  file(name: string): string {
    return fileOf(this.folder, name);
  }

  #describe(name: string, stamp: string | null): Known {
    try {
      const definition = this.definition(name);
      const { cpus, memory, autostart, 'on-crash': onCrash } = definition;
      const size = { vcpus: cpus.count, memoryBytes: memory.size };
      const vm = { name, problem: null, blockers: [], ...size, autostart, onCrash };
      const missing = notYet(definition);
      return {
        stamp,
        vm,
        lacks: missing.length === 0 ? [] : [unsupported(missing)],
        files: sourceFiles(definition),
      };
    } catch (error) {
      if (!(error instanceof DefinitionError || error instanceof DefinitionFileError)) throw error;
      const nothing = { blockers: [], vcpus: 0, memoryBytes: 0, autostart: false, onCrash: 'keep' } as const;
      const vm = { name: printable(name), problem: printable(error.message), ...nothing };
      return { stamp, vm, lacks: [], files: [] };
    }
  }

  /** The same when nothing is different, so that whoever compares sees no change. */
  #withBlockers(known: Known): Known {
    const absent = known.files
      .filter(({ file }) => !this.#presence.has(file))
      .map(({ key, file }) => `${printable(file)} does not exist (${key})`);
    const blockers = [...known.lacks, ...absent];
    const same = blockers.join('\n') === known.vm.blockers.join('\n');
    return same ? known : { ...known, vm: { ...known.vm, blockers } };
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
    throw new DefinitionFileError(`${shown(name)} cannot be the name of a VM: expected ${VM_NAME.rule}`);
  }
}
