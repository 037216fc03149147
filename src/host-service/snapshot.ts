import type { NextBoot } from '../host/boot/next-boot.ts';
import type { Diagnosis } from '../host/doctor/doctor.ts';
import type { IommuGroup } from '../host/iommu/groups.ts';
import type { PciFunction, PciSummary } from '../host/pci/function.ts';
import type { PhysicalFunction } from '../host/sriov/read.ts';
import type { FunctionUse } from '../host/use/use.ts';
import type { VfioDevice, VfioState } from '../host/vfio/read.ts';

/** Everything that the host screens show, at one point in time. All its text is safe to print. */
export type HostSnapshot = {
  /** By address, in order of address, as are the other tables with addresses. */
  readonly functions: ReadonlyMap<string, PciSummary>;
  readonly groups: ReadonlyMap<number, IommuGroup>;
  /** Functions that the host uses. */
  readonly use: ReadonlyMap<string, FunctionUse>;
  /** Functions that are configured for the next boot, or that it changes. */
  readonly nextBoot: ReadonlyMap<string, NextBoot>;
  readonly physicalFunctions: ReadonlyMap<string, PhysicalFunction>;
  /** Functions with a VFIO driver. */
  readonly bound: ReadonlyMap<string, VfioDevice>;
  readonly general: HostGeneral;
};

/** A snapshot with all that was read of each function, as the host thread has it. */
export type HostReading = Omit<HostSnapshot, 'functions'> & {
  readonly functions: ReadonlyMap<string, PciFunction>;
};

/** What exists once per host. */
export type HostGeneral = {
  readonly vfio: Omit<VfioState, 'devices'> | null;
  readonly diagnosis: Diagnosis | null;
  /** What could not be read and why, as sentences. */
  readonly problems: readonly string[];
};

export const emptyHost: HostReading = {
  functions: new Map(),
  groups: new Map(),
  use: new Map(),
  nextBoot: new Map(),
  physicalFunctions: new Map(),
  bound: new Map(),
  general: { vfio: null, diagnosis: null, problems: [] },
};
