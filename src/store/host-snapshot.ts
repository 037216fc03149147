import { type NextBoot, readNextBoot } from '../host/boot/next-boot.ts';
import { type Diagnosis, diagnose } from '../host/doctor/doctor.ts';
import { type IommuGroup, readIommuGroups } from '../host/iommu/groups.ts';
import type { PciFunction } from '../host/pci/function.ts';
import { readPci } from '../host/pci/read.ts';
import type { HostRoot } from '../host/root.ts';
import { type PhysicalFunction, readSriov } from '../host/sriov/read.ts';
import { type FunctionUse, readUse } from '../host/use/use.ts';
import { readVfio, type VfioDevice, type VfioState } from '../host/vfio/read.ts';
import { printableDeep } from '../text/printable-deep.ts';

/** All that the host's screens show, as it was at one time. Every text in it is safe to print. */
export type HostSnapshot = {
  /** By address, in order of address; so are the others with an address. */
  readonly functions: ReadonlyMap<string, PciFunction>;
  readonly groups: ReadonlyMap<number, IommuGroup>;
  /** Functions that the host uses for something. */
  readonly use: ReadonlyMap<string, FunctionUse>;
  /** Functions that are configured for the next boot, or that it would change. */
  readonly nextBoot: ReadonlyMap<string, NextBoot>;
  readonly physicalFunctions: ReadonlyMap<string, PhysicalFunction>;
  /** Functions with a VFIO driver. */
  readonly bound: ReadonlyMap<string, VfioDevice>;
  readonly general: HostGeneral;
};

/** What there is only one of. */
export type HostGeneral = {
  readonly vfio: Omit<VfioState, 'devices'> | null;
  readonly diagnosis: Diagnosis | null;
  /** What could not be read, and why, in sentences. */
  readonly problems: readonly string[];
};

export const emptyHost: HostSnapshot = {
  functions: new Map(),
  groups: new Map(),
  use: new Map(),
  nextBoot: new Map(),
  physicalFunctions: new Map(),
  bound: new Map(),
  general: { vfio: null, diagnosis: null, problems: [] },
};

/** Reads the whole host. What can't be read is left out, and named in `general.problems`. */
export async function readHost(root: HostRoot): Promise<HostSnapshot> {
  const problems: string[] = [];
  const attempt = async <Value>(read: () => Value | Promise<Value>, otherwise: Value): Promise<Value> => {
    try {
      return await read();
    } catch (error) {
      problems.push((error as Error).message);
      return otherwise;
    }
  };
  const functions = await attempt(() => readPci(root), []);
  const physical = await attempt(() => readSriov(root, functions), []);
  const groups = await attempt(() => readIommuGroups(root, functions), []);
  const vfio = await attempt(() => readVfio(root, functions), null);
  const use = await attempt(() => readUse(root, functions), new Map());
  const nextBoot = await attempt(() => readNextBoot(root, functions), new Map());
  const diagnosis = await attempt(() => diagnose(root), null);
  return printableDeep({
    functions: new Map(functions.map(fn => [fn.address, fn])),
    groups: new Map(groups.map(group => [group.id, group])),
    use,
    nextBoot,
    physicalFunctions: new Map(physical.map(pf => [pf.address, pf])),
    bound: new Map(vfio?.devices.map(device => [device.address, device])),
    general: { vfio: vfio && withoutDevices(vfio), diagnosis, problems: [...new Set(problems)] },
  });
}

function withoutDevices({ devices: _, ...rest }: VfioState): Omit<VfioState, 'devices'> {
  return rest;
}
