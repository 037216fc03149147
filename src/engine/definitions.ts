import type { DiskLimits } from '../devices/backends/disk.ts';
import type { NetLimits } from '../devices/backends/net-limits.ts';
import type { DeviceConfig } from '../devices/device-table.ts';
import type { MachineConfigInput } from '../vmm/machine/config.ts';
import type { WantedHostDevice } from './host-devices/wanted.ts';
import type { DefinedDevice } from './hotplug/defined-device.ts';
import type { VmNic } from './networks/vm-nics.ts';

/** A VM, as far as its definition can be read. */
export type DefinedVm = {
  readonly name: string;
  /** Why the definition is not valid, with file, line and key; null if it is. */
  readonly problem: string | null;
  /**
   * Why a valid definition cannot be started: features that this version lacks, files that do not exist. Empty if it
   * can.
   */
  readonly blockers: readonly string[];
  readonly vcpus: number;
  /** The most that it has room for; default: as many. */
  readonly maxVcpus?: number;
  readonly memoryBytes: number;
  readonly autostart: boolean;
  readonly onCrash: 'keep' | 'restart';
  /** Host PCI functions that it passes through; default: none. */
  readonly hostDevices?: readonly WantedHostDevice[];
  /** Its network cards; default: none. */
  readonly nics?: readonly VmNic[];
  /** All devices that it lists or needs; default: none. */
  readonly devices?: readonly DefinedDevice[];
};

/** The definitions on disk, as an engine uses them. */
export interface Definitions {
  /** Every definition, by name, including invalid ones. */
  list(): readonly DefinedVm[];
  /** The machine that a definition describes, read now. @throws with what is wrong in it */
  machine(name: string): MachineConfigInput;
  /** @throws when there is no such definition */
  text(name: string): string;
  /** @throws with what is wrong in it, or when it exists */
  check(name: string, yaml: string): void;
  /** The text of a definition, for the same VM under another name. @throws with what is wrong in it */
  renamed(yaml: string, from: string, to: string): string;
  /** @throws with what is wrong in it, or when it exists and `replace` is false */
  save(name: string, yaml: string, options: { readonly replace: boolean }): void;
  /**
   * The text of a definition for another VM like this one, with its own disks. @param disks their paths, by the paths
   * in the text
   */
  derive(
    yaml: string,
    change: { readonly from: string; readonly to: string; readonly disks: ReadonlyMap<string, string> },
  ): string;
  /** Adds a device. @returns its name in the VM. @throws when it conflicts with the definition */
  attach(name: string, device: DeviceConfig): string;
  /**
   * Removes a device, found by its disk or host device if given, else by its name in the VM. @throws when there is none
   */
  detach(name: string, device: Partial<DeviceConfig>): void;
  /** Replaces all limits of a disk or network card; `device` as for `detach`. @throws when there is none */
  limit(name: string, device: Partial<DeviceConfig>, limits: DiskLimits | NetLimits): void;
  /** Sets the number of vCPUs. @throws when there is no room for that many */
  setVcpus(name: string, count: number): void;
  /** Renames a definition. @throws when the new name is taken */
  rename(from: string, to: string): void;
  /** Keeps the file as `NAME.yaml~`. */
  remove(name: string): void;
  /** Calls `changed` after any change. @returns a function that ends the watch */
  watch(changed: () => void): () => void;
}

/** For an engine that only runs machines passed to `start`. */
export const NO_DEFINITIONS: Definitions = {
  list: () => [],
  machine: name => {
    throw new Error(`there is no definition of ${name}`);
  },
  text: name => {
    throw new Error(`there is no definition of ${name}`);
  },
  check: () => {},
  renamed: yaml => yaml,
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
  setVcpus: name => {
    throw new Error(`there is no definition of ${name}`);
  },
  derive: yaml => yaml,
  rename: name => {
    throw new Error(`there is no definition of ${name}`);
  },
  remove: () => {},
  watch: () => () => {},
};
