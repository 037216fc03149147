import type { DiskLimits } from '../devices/backends/disk.ts';
import type { NetLimits } from '../devices/backends/net-limits.ts';
import type { DeviceConfig } from '../devices/device-table.ts';
import type { MachineConfigInput } from '../vmm/machine/config.ts';
import type { WantedHostDevice } from './host-devices/wanted.ts';
import type { VmNic } from './networks/vm-nics.ts';

/** What a VM is, as far as its definition can be read. */
export type DefinedVm = {
  readonly name: string;
  /** Why the definition is not valid, with file, line and key; null when it is. */
  readonly problem: string | null;
  /** What keeps a valid definition from being started: features that this version lacks, files that do not exist; empty: nothing. */
  readonly blockers: readonly string[];
  readonly vcpus: number;
  readonly memoryBytes: number;
  readonly autostart: boolean;
  readonly onCrash: 'keep' | 'restart';
  /** PCI functions of the host that it passes through. Absent: none. */
  readonly hostDevices?: readonly WantedHostDevice[];
  /** Its network cards. Absent: none. */
  readonly nics?: readonly VmNic[];
};

/** The definitions on disk, as an engine needs them. */
export interface Definitions {
  /** Every definition, by name; those that can't be used too. */
  list(): readonly DefinedVm[];
  /** The machine that a definition describes, read now. @throws with what is wrong in it */
  machine(name: string): MachineConfigInput;
  /** @throws when there is none */
  text(name: string): string;
  /** @throws with what is wrong in it, or when there is one already that is not to be replaced */
  save(name: string, yaml: string, options: { readonly replace: boolean }): void;
  /** The text of a definition of another VM like this one, with disks of its own. @param disks their paths, by those in the text */
  derive(
    yaml: string,
    change: { readonly from: string; readonly to: string; readonly disks: ReadonlyMap<string, string> },
  ): string;
  /** Adds a device. @returns the name that its VM gives it. @throws when it does not fit in */
  attach(name: string, device: DeviceConfig): string;
  /** Removes a device, by its disk or host device if that is known, else by the name that the VM gives it. @throws when there is none */
  detach(name: string, device: Partial<DeviceConfig>): void;
  /** Gives a disk or network card these limits, and no others; `device` as for `detach`. @throws when there is none */
  limit(name: string, device: Partial<DeviceConfig>, limits: DiskLimits | NetLimits): void;
  /** Gives a definition another name. @throws when that one is taken */
  rename(from: string, to: string): void;
  /** The file is kept as `NAME.yaml~`. */
  remove(name: string): void;
  /** Calls `changed` after any change. @returns a function that stops that */
  watch(changed: () => void): () => void;
}

/** Of an engine that runs nothing but what it is handed. */
export const NO_DEFINITIONS: Definitions = {
  list: () => [],
  machine: name => {
    throw new Error(`there is no definition of ${name}`);
  },
  text: name => {
    throw new Error(`there is no definition of ${name}`);
  },
  save: () => {
    throw new Error('this vring keeps no definitions: start its VMs from vring or vring vm');
  },
  attach: name => {
    throw new Error(`there is no definition of ${name}`);
  },
  detach: name => {
    throw new Error(`there is no definition of ${name}`);
  },
  limit: name => {
    throw new Error(`there is no definition of ${name}`);
  },
  derive: yaml => yaml,
  rename: name => {
    throw new Error(`there is no definition of ${name}`);
  },
  remove: () => {},
  watch: () => () => {},
};
