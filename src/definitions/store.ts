import { isDeepStrictEqual } from 'node:util';
import type { DiskLimits } from '../devices/backends/disk.ts';
import type { NetLimits } from '../devices/backends/net-limits.ts';
import type { DeviceConfig } from '../devices/device-table.ts';
import type { DefinedVm, Definitions } from '../engine/definitions.ts';
import type { DefinedDevice } from '../engine/hotplug/defined-device.ts';
import { printable } from '../text/printable.ts';
import type { MachineConfigInput } from '../vmm/machine/config.ts';
import { VM_NAME } from '../vmm/machine/vm-name.ts';
import { withVcpus } from './change/cpus.ts';
import { derivedText } from './change/derive.ts';
import { withDevice, withLimits, withoutDevice } from './change/devices.ts';
import { renamedText } from './change/rename.ts';
import { DefinitionFileError, fileOf, listNames, readFile, stampOf } from './files.ts';
import { definitionsFolder } from './folder.ts';
import { DefinitionError } from './problem.ts';
import { readDefinition } from './read.ts';
import type { Definition } from './schema.ts';
import { withSize } from './seen-disk.ts';
import { FilePresence, type SourceFile, sourceFiles } from './source-files.ts';
import { askedFor, toMachine, unsupported } from './to-machine.ts';
import { watchFolder } from './watch.ts';
import { shown } from './words.ts';
import { removeFile, writeFile } from './write-file.ts';

/** A definition as it was last read. */
type Known = {
  readonly stamp: string | null;
  readonly vm: DefinedVm;
  /** What it asks for that this version lacks. */
  readonly lacks: readonly string[];
  readonly files: readonly SourceFile[];
  /** Its devices, as far as the definition describes them. */
  readonly devices: readonly DefinedDevice[];
};

/** The definitions in a folder, one file each. */
export class DefinitionStore implements Definitions {
  readonly folder: string;
  /** The contents of each file, until it changes. */
  readonly #known = new Map<string, Known>();
  readonly #presence = new FilePresence();

  constructor(folder = definitionsFolder()) {
    this.folder = folder;
  }

  /**
   * Every definition, by name, including those that cannot be used.
   * @throws DefinitionFileError if the folder cannot be read
   */
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
    this.#checkFileName(name);
    return readDefinition(readFile(this.folder, name), { file: this.file(name), name });
  }

  /**
   * The machine that a definition describes, read now.
   * @throws DefinitionFileError, DefinitionError, NotYetError, SameDiskError
   */
  machine(name: string): MachineConfigInput {
    return toMachine(this.definition(name));
  }

  /** Also reads a file that is not valid, so that it can be fixed. @throws DefinitionFileError */
  text(name: string): string {
    this.#checkFileName(name);
    return readFile(this.folder, name).toString('utf8');
  }

  /** @throws DefinitionFileError, DefinitionError */
  check(name: string, yaml: string): void {
    checkName(name);
    readDefinition(yaml, { file: `${name}.yaml`, name });
    if (stampOf(this.file(name)) !== null) throw new Error(`${this.file(name)} exists already`);
  }

  /** @throws DefinitionError */
  renamed(yaml: string, from: string, to: string): string {
    const file = this.file(from);
    return renamedText(yaml, file, readDefinition(yaml, { file, name: from }), to);
  }

  /**
   * Checks a definition and saves it; an old file is kept as `NAME.yaml~`.
   * @throws DefinitionFileError, DefinitionError
   */
  save(name: string, yaml: string, { replace }: { readonly replace: boolean }): void {
    checkName(name);
    readDefinition(yaml, { file: `${name}.yaml`, name });
    writeFile(this.folder, name, yaml, replace);
  }

  /**
   * Adds a device at the end; comments stay.
   * @returns its name in the VM.
   * @throws DefinitionFileError, DefinitionError
   */
  attach(name: string, device: DeviceConfig): string {
    const changed = withDevice(this.text(name), this.file(name), this.definition(name), device);
    this.save(name, changed.text, { replace: true });
    return changed.name;
  }

  /** Removes a device; comments stay. @throws DefinitionFileError, DefinitionError */
  detach(name: string, device: Partial<DeviceConfig>): void {
    const text = withoutDevice(this.text(name), this.file(name), this.definition(name), device);
    this.save(name, text, { replace: true });
  }

  /** Sets the limits of a disk or network card; comments stay. @throws DefinitionFileError, DefinitionError */
  limit(name: string, device: Partial<DeviceConfig>, limits: DiskLimits | NetLimits): void {
    const text = withLimits(this.text(name), this.file(name), this.definition(name), device, limits);
    this.save(name, text, { replace: true });
  }

  /** Sets the number of vCPUs; comments stay. @throws DefinitionFileError, DefinitionError */
  setVcpus(name: string, count: number): void {
    const text = withVcpus(this.text(name), this.file(name), this.definition(name), count);
    this.save(name, text, { replace: true });
  }

  /**
   * Gives a definition another name; the old file is kept as `NAME.yaml~`.
   * @throws DefinitionFileError, DefinitionError
   */
  rename(from: string, to: string): void {
    const text = this.renamed(this.text(from), from, to);
    this.save(to, text, { replace: false });
    this.remove(from);
  }

  /** The text of another VM's definition, whose network cards get addresses of their own. @throws DefinitionError */
  derive(
    yaml: string,
    { from, to, disks }: { from: string; to: string; disks: ReadonlyMap<string, string> },
  ): string {
    const file = this.file(from);
    return derivedText(yaml, file, readDefinition(yaml, { file, name: from }), to, disks);
  }

  /** The file is kept as `NAME.yaml~`. @throws DefinitionFileError */
  remove(name: string): void {
    checkName(name);
    removeFile(this.folder, name);
  }

  /**
   * Calls `changed` when a definition changes, or a file that one names appears or disappears. While the folder cannot
   * be read, the last known definitions stay.
   * @returns a function that stops watching
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
      const room = cpus.maxcpus !== undefined && { maxVcpus: cpus.maxcpus };
      const size = { vcpus: cpus.count, ...room, memoryBytes: memory.size };
      const { devices, hostDevices, nics, missing } = askedFor(definition);
      const vm = {
        ...{ name, problem: null, blockers: [], ...size, autostart, onCrash },
        ...(hostDevices.length > 0 && { hostDevices }),
        ...(nics.length > 0 && { nics }),
        devices,
      };
      return {
        stamp,
        vm,
        lacks: missing.length === 0 ? [] : [unsupported(missing)],
        files: sourceFiles(definition),
        devices,
      };
    } catch (error) {
      if (!(error instanceof DefinitionError || error instanceof DefinitionFileError)) throw error;
      const nothing = { blockers: [], vcpus: 0, memoryBytes: 0, autostart: false, onCrash: 'keep' } as const;
      const vm = { name: printable(name), problem: printable(error.message), ...nothing };
      return { stamp, vm, lacks: [], files: [], devices: [] };
    }
  }

  /** The same object if nothing differs, so that comparisons see no change. */
  #withBlockers(known: Known): Known {
    const absent = known.files
      .filter(({ file }) => !this.#presence.has(file))
      .map(({ key, file }) => `${printable(file)} does not exist (${key})`);
    const blockers = [...known.lacks, ...absent];
    const devices = known.devices.map(device => this.#withSize(device));
    const vm = { ...known.vm, blockers, ...(known.vm.devices !== undefined && { devices }) };
    return isDeepStrictEqual(vm, known.vm) ? known : { ...known, vm };
  }

  /** The file of a disk has been queried as one of the source files. */
  #withSize(device: DefinedDevice): DefinedDevice {
    const { path, backend } = device;
    return path === undefined || backend !== 'disk' ? device : withSize(device, this.#presence.disk(path));
  }

  /** Like `checkName`, and names the file that is in the folder. @throws DefinitionFileError */
  #checkFileName(name: string): void {
    if (!VM_NAME.pattern.test(name) && listNames(this.folder).includes(name))
      throw new DefinitionFileError(
        `rename ${printable(this.file(name))}: ${shown(name)} cannot be the name of a VM: expected ${VM_NAME.rule}`,
      );
    checkName(name);
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

/** The check also keeps a name from leading out of the folder. @throws DefinitionFileError */
function checkName(name: string): void {
  if (!VM_NAME.pattern.test(name)) {
    throw new DefinitionFileError(`${shown(name)} cannot be the name of a VM: expected ${VM_NAME.rule}`);
  }
}
