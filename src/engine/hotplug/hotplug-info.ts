import type { DiskOptions } from '../../devices/backends/disk.ts';
import type { DeviceConfig } from '../../devices/device-table.ts';
import type { VmInfo } from '../vm-info.ts';

/** A device that has been attached to a VM. */
export type AttachedDevice = {
  readonly name: string;
  /** Its bus and place on it, as in a definition; null if that is not known before the VM starts. */
  readonly bus: string | null;
  readonly addr: string | null;
  /** As the guest sees it, `01:00.0`; null until the guest has numbered the bus. */
  readonly address: string | null;
  /** True if the VM runs and has it; false if it is only in the VM's definition. */
  readonly running: boolean;
  /** Whether the guest has been notified; if not, it finds the device on its next scan. */
  readonly noticed: boolean;
};

/** A device that a definition has got, as `name`. */
export function inDefinitionOnly(
  { bus, addr }: Pick<DeviceConfig, 'bus' | 'addr'>,
  name: string,
): AttachedDevice {
  return { name, bus: bus ?? null, addr: addr ?? null, address: null, running: false, noticed: false };
}

/** Why the limits of a device of a VM that is off cannot be set for now, and what can be done. */
export function limitsNeedPersist({ name, state }: Pick<VmInfo, 'name' | 'state'>): string {
  return `${name} is ${state}: with --persist, its definition gets the limits, for its next start`;
}

export type AttachOptions = {
  /**
   * Only plug it in: if the VM has ended, its definition stays as it is. Default: a VM that is off gets it in its
   * definition.
   */
  readonly running?: boolean;
  /** Add the device to the VM's definition too. */
  readonly persist: boolean;
};

export type DetachOptions = {
  /** Take the device without asking the guest. */
  readonly force: boolean;
  /** Remove the device from the VM's definition too. */
  readonly persist: boolean;
};

/** A medium as given by the user. */
export type Medium = Pick<DiskOptions, 'path' | 'format' | 'cache'>;

export type MediumChange = {
  /** Null to leave the drive empty. */
  readonly medium: Medium | null;
  /** Eject the medium even if the guest has locked the drive. */
  readonly force: boolean;
};

export type SetVcpusOptions = {
  /** Change the definition too; for a VM that is off, only that changes. */
  readonly persist?: boolean | undefined;
};

/** What has become of a change of the number of vCPUs. */
export type VcpusChanged = {
  /** How many the VM has, or will have at its next start. */
  readonly vcpus: number;
  /** True if the running VM has them; false if they are only in its definition. */
  readonly running: boolean;
  /** Whether the guest has a driver that acts on it now. */
  readonly noticed: boolean;
};

export type LimitOptions = {
  /** Change the definition too; for a VM that is off, only that changes. */
  readonly persist?: boolean | undefined;
};
