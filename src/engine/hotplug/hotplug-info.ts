import type { DiskOptions } from '../../devices/backends/disk.ts';

/** A device that has been attached to a VM. */
export type AttachedDevice = {
  readonly name: string;
  /** The bus that it is on, and where, as in a definition; null: that is not known before the VM starts. */
  readonly bus: string | null;
  readonly addr: string | null;
  /** As the guest sees it, `01:00.0`; null before it has given the bus a number. */
  readonly address: string | null;
  /** The VM runs and has it. False: it is in the VM's definition. */
  readonly running: boolean;
  /** Whether the guest looks at it now; else it finds the device when it looks for devices next. */
  readonly noticed: boolean;
};

export type AttachOptions = {
  /** Only plug it in: if the VM has ended meanwhile, its definition stays as it is. Absent: it gets what a VM that is off gets. */
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

/** A medium as a user names it. */
export type Medium = Pick<DiskOptions, 'path' | 'format' | 'cache'>;

export type MediumChange = {
  /** Null: the drive is to be empty. */
  readonly medium: Medium | null;
  /** Take what is in the drive though the guest has locked it. */
  readonly force: boolean;
};

export type LimitOptions = {
  /** In the definition too, of a VM that is off only there. */
  readonly persist?: boolean | undefined;
};
