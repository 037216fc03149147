import { readNextBoot } from '../host/boot/next-boot.ts';
import { diagnose } from '../host/doctor/doctor.ts';
import { readIommuGroups } from '../host/iommu/groups.ts';
import { type OnFunction, readPci } from '../host/pci/read.ts';
import type { HostRoot } from '../host/root.ts';
import { readSriov } from '../host/sriov/read.ts';
import { readOpenFiles } from '../host/use/open-files.ts';
import { readUse } from '../host/use/use.ts';
import { readVfio, type VfioState } from '../host/vfio/read.ts';
import { printableDeep } from '../text/printable-deep.ts';
import type { HostReading } from './snapshot.ts';

/**
 * Reads the whole host. What cannot be read is omitted, and named in `general.problems`.
 * @param onFunction called with each PCI function once it has been read
 */
export async function readHost(root: HostRoot, onFunction?: OnFunction): Promise<HostReading> {
  const problems: string[] = [];
  const attempt = async <Value>(read: () => Value | Promise<Value>, otherwise: Value): Promise<Value> => {
    try {
      return await read();
    } catch (error) {
      problems.push((error as Error).message);
      return otherwise;
    }
  };
  const functions = await attempt(() => readPci(root, onFunction), []);
  const physical = await attempt(() => readSriov(root, functions), []);
  const groups = await attempt(() => readIommuGroups(root, functions), []);
  const vfio = await attempt(async () => readVfio(await readOpenFiles(root), functions), null);
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
