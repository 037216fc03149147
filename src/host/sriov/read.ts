import type { PciFunction } from '../pci/function.ts';
import { pendingAddresses } from '../pending-writes.ts';
import type { HostRoot } from '../root.ts';
import { integer, natural } from '../text.ts';
import { type LinkInfo, readLinks, type VfAttributes } from './ip-link.ts';

export type VirtualFunction = {
  /** N of `virtfnN` and of `ip link set ... vf N`. */
  readonly index: number;
  readonly address: string;
  readonly driver: string | null;
  readonly iommuGroup: number | null;
  /** Its network interfaces, while a host driver is bound. */
  readonly interfaces: readonly string[];
  /** Null for functions other than network ones, and if `ip` does not report it. */
  readonly attributes: VfAttributes | null;
};

export type PhysicalFunction = {
  readonly address: string;
  readonly driver: string | null;
  readonly total: number;
  readonly current: number;
  /** Routing ID of the first VF relative to the PF's, and of each further VF relative to the previous one. */
  readonly offset: number | null;
  readonly stride: number | null;
  /** Four hex digits. */
  readonly vfDevice: string | null;
  /** Whether host drivers bind to new VFs automatically. */
  readonly autoprobe: boolean | null;
  readonly interfaces: readonly string[];
  /** The interface through which the VFs are configured. */
  readonly manager: string | null;
  readonly vfs: readonly VirtualFunction[];
};

/** Every function that can have VFs, by address. */
export async function readSriov(
  root: HostRoot,
  functions: readonly PciFunction[],
): Promise<PhysicalFunction[]> {
  const able = functions.flatMap(fn => {
    const total = fn.physicalFunction ? null : integer(root.attribute(`${fn.path}/sriov_totalvfs`));
    return total ? [{ fn, total }] : [];
  });
  if (able.length === 0) return [];
  const links = (await readLinks(root)) ?? new Map<string, LinkInfo>();
  const byAddress = new Map(functions.map(fn => [fn.address, fn]));
  // A read of their count would block on the device's lock.
  const pending = pendingAddresses(root);
  return able.map(({ fn, total }) =>
    readPhysicalFunction(root, fn, total, byAddress, links, pending.has(fn.address)),
  );
}

function readPhysicalFunction(
  root: HostRoot,
  fn: PciFunction,
  total: number,
  byAddress: ReadonlyMap<string, PciFunction>,
  links: ReadonlyMap<string, LinkInfo>,
  locked: boolean,
): PhysicalFunction {
  const read = (name: string): string | null => root.attribute(`${fn.path}/${name}`);
  const interfaces = netInterfaces(root, fn.path);
  // Representors are beside the PF's own interface; only the interface that lists the VFs manages them.
  const manager = interfaces.find(name => (links.get(name)?.vfs.size ?? 0) > 0) ?? interfaces[0] ?? null;
  const attributes = manager === null ? undefined : links.get(manager)?.vfs;
  return {
    address: fn.address,
    driver: fn.driver,
    total,
    current: locked ? fn.virtualFunctions.length : (integer(read('sriov_numvfs')) ?? 0),
    offset: integer(read('sriov_offset')),
    stride: integer(read('sriov_stride')),
    vfDevice: read('sriov_vf_device')?.padStart(4, '0') ?? null,
    autoprobe: flag(read('sriov_drivers_autoprobe')),
    interfaces,
    manager,
    vfs: fn.virtualFunctions.map((address, index) => {
      const vf = byAddress.get(address);
      return {
        index,
        address,
        driver: vf?.driver ?? null,
        iommuGroup: vf?.iommuGroup ?? null,
        interfaces: vf ? netInterfaces(root, vf.path) : [],
        attributes: attributes?.get(index) ?? null,
      };
    }),
  };
}

function netInterfaces(root: HostRoot, path: string): string[] {
  return (root.list(`${path}/net`) ?? []).sort(natural);
}

function flag(text: string | null): boolean | null {
  return text === null ? null : text === '1';
}
