import type { DiskOptions } from '../../devices/backends/disk.ts';

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

export type LimitOptions = {
  /** Change the definition too; for a VM that is off, only that changes. */
  readonly persist?: boolean | undefined;
};
