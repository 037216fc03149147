import { setImmediate as turn } from 'node:timers/promises';
import { type IommuGroup, readIommuGroups } from '../iommu/groups.ts';
import { classTraits } from '../pci/class.ts';
import type { PciFunction } from '../pci/function.ts';
import { readPci } from '../pci/read.ts';
import type { HostRoot } from '../root.ts';
import { type PhysicalFunction, readSriov } from '../sriov/read.ts';
import { readSecondaryControllers, type SecondaryController } from '../sriov/secondary-controllers.ts';
import type { Holder } from '../use/holders.ts';
import { type OpenFiles, readOpenFiles } from '../use/open-files.ts';
import { type FunctionUse, readUse, unused } from '../use/use.ts';
import { readVfio, type VfioState } from '../vfio/read.ts';

/** A snapshot of everything that plans and checks read. */
export type HostSurvey = {
  readonly root: HostRoot;
  readonly functions: readonly PciFunction[];
  readonly byAddress: ReadonlyMap<string, PciFunction>;
  readonly groups: ReadonlyMap<number, IommuGroup>;
  readonly physicalFunctions: ReadonlyMap<string, PhysicalFunction>;
  /** NVMe VFs, by address, as far as they are known. */
  readonly secondaryControllers: ReadonlyMap<string, SecondaryController>;
  readonly vfio: VfioState;
  /** Read with `devices: true`. */
  readonly openFiles: OpenFiles;
  readonly use: ReadonlyMap<string, FunctionUse>;
};

/** Each part takes time on a large host, so a manager can answer its clients between them. */
export async function readSurvey(root: HostRoot): Promise<HostSurvey> {
  const functions = readPci(root);
  await turn();
  const physicalFunctions = await readSriov(root, functions);
  const secondaryControllers = await readSecondaryControllers(root, functions, physicalFunctions);
  await turn();
  const groups = readIommuGroups(root, functions);
  await turn();
  const openFiles = await readOpenFiles(root, { devices: true });
  const vfio = readVfio(openFiles, functions);
  await turn();
  const use = readUse(root, functions);
  await turn();
  return {
    root,
    functions,
    byAddress: new Map(functions.map(fn => [fn.address, fn])),
    groups: new Map(groups.map(group => [group.id, group])),
    physicalFunctions: new Map(physicalFunctions.map(pf => [pf.address, pf])),
    secondaryControllers,
    vfio,
    openFiles,
    use,
  };
}

/** The path of a function in steps: short, and independent of the bus topology. */
export function sysfsPath(fn: Pick<PciFunction, 'address'>): string {
  return `/sys/bus/pci/devices/${fn.address}`;
}

/** @throws for an unknown function */
export function functionAt(survey: HostSurvey, address: string): PciFunction {
  const fn = survey.byAddress.get(address);
  if (!fn) throw new Error(`no PCI function ${address} on this host: see vring pci list`);
  return fn;
}

/** How the host uses it. Includes functions below a controller such as VMD. */
export function hostUse(survey: HostSurvey, fn: PciFunction): FunctionUse {
  const own = survey.use.get(fn.address) ?? unused;
  if (staysWithHost(fn)) return own;
  const below = survey.functions.filter(other => other.path.startsWith(`${fn.path}/`));
  return below.reduce((all, other) => withUse(all, survey.use.get(other.address) ?? unused), own);
}

function withUse(all: FunctionUse, other: FunctionUse): FunctionUse {
  return {
    ...all,
    interfaces: [...all.interfaces, ...other.interfaces],
    hiddenInterface: all.hiddenInterface || other.hiddenInterface,
    disks: [...all.disks, ...other.disks],
  };
}

/** The functions of its IOMMU group, including itself; only itself if it has none. */
export function groupMembers(survey: HostSurvey, fn: PciFunction): readonly PciFunction[] {
  const group = fn.iommuGroup === null ? undefined : survey.groups.get(fn.iommuGroup);
  return group ? group.members.map(address => survey.byAddress.get(address)!) : [fn];
}

/** Current VFs of a physical function. */
export function virtualFunctionsOf(survey: HostSurvey, fn: PciFunction): readonly PciFunction[] {
  return fn.virtualFunctions.map(address => survey.byAddress.get(address)).filter(vf => vf !== undefined);
}

/** VMs that have the function's group open, through any of its members. */
export function vmHolders(survey: HostSurvey, fn: PciFunction): readonly Holder[] {
  const members = new Set(groupMembers(survey, fn).map(member => member.address));
  const holders = survey.vfio.devices
    .filter(device => members.has(device.address))
    .flatMap(device => device.holders);
  return [...new Map(holders.map(holder => [holder.pid, holder])).values()];
}

/** PCI bridges and host bridges always keep their drivers. */
export function staysWithHost(fn: PciFunction): boolean {
  return classTraits(fn.class).pciBridge || fn.class.startsWith('0600');
}
