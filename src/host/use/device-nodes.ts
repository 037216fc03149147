import type { PciFunction } from '../pci/function.ts';
import type { HostRoot } from '../root.ts';
import { integer, keyValues } from '../text.ts';
import { type BlockDevice, readBlockDevices } from './block-devices.ts';

/** The properties of a function needed to find its device files. */
export type NodeOwner = Pick<PciFunction, 'address' | 'path' | 'driver'>;

/** A device file through which user space uses a PCI function. */
export type FunctionNode = {
  /** As udev names it: `/dev/nvidia0`. For a directly mapped BAR, the file in sysfs. */
  readonly path: string;
  /** `major:minor`; null if not known, and for a file in sysfs. */
  readonly number: string | null;
  /** Serves all functions of the driver: a process that has it open may use another one. */
  readonly shared: boolean;
};

/**
 * The device files of functions. Most belong to a child device in sysfs and carry a `dev` attribute; some drivers
 * create theirs elsewhere.
 */
export function readFunctionNodes(
  root: HostRoot,
  functions: readonly NodeOwner[],
): Map<string, FunctionNode[]> {
  const blockDevices = readBlockDevices(root);
  return new Map(
    functions.map(fn => {
      const nodes = [
        ...childNodes(root, fn.path),
        ...diskNodes(fn, blockDevices),
        ...driverNodes(root, fn),
        ...regionFiles(root, fn),
      ];
      // A VFIO node belongs to the whole group: the check for running VMs covers it.
      const own = nodes.filter(node => !node.path.startsWith('/dev/vfio/'));
      return [fn.address, [...new Map(own.map(node => [node.path, node])).values()]];
    }),
  );
}

/** sysfs is a few levels deep; a crafted recording may have any depth. */
const MAX_DEPTH = 24;

function childNodes(root: HostRoot, directory: string, depth = 0): FunctionNode[] {
  if (depth > MAX_DEPTH) return [];
  return (root.subdirectories(directory) ?? []).flatMap(name => {
    const child = `${directory}/${name}`;
    const number = root.attribute(`${child}/dev`);
    const below = childNodes(root, child, depth + 1);
    if (number === null || !/^\d+:\d+$/.test(number)) return below;
    const devName = keyValues(root.attribute(`${child}/uevent`) ?? '').get('DEVNAME');
    return [{ path: `/dev/${devName ?? name.replaceAll('!', '/')}`, number, shared: false }, ...below];
  });
}

/** An NVMe namespace with several paths has its directory below none of its controllers. */
function diskNodes(fn: NodeOwner, devices: readonly BlockDevice[]): FunctionNode[] {
  const disks = new Set(devices.filter(each => each.functions.includes(fn.address)).map(each => each.name));
  return devices
    .filter(({ name, partitionOf }) => disks.has(name) || (partitionOf !== null && disks.has(partitionOf)))
    .map(({ name, number }) => ({ path: `/dev/${name}`, number, shared: false }));
}

const nvidiaShared = ['nvidiactl', 'nvidia-modeset', 'nvidia-uvm', 'nvidia-uvm-tools', 'nvidia-nvlink'];

/** Nodes of drivers that register them without a device in sysfs, or only one for all functions. */
function driverNodes(root: HostRoot, fn: NodeOwner): FunctionNode[] {
  const node = (name: string, shared: boolean): FunctionNode => {
    const path = `/dev/${name}`;
    const found = root.node(path);
    return { path, number: found === null ? null : `${found.major}:${found.minor}`, shared };
  };
  switch (fn.driver) {
    case 'nvidia':
      return [
        ...nvidiaMinors(root, fn).map(minor => node(`nvidia${minor}`, false)),
        ...nvidiaShared.map(name => node(name, true)),
      ];
    case 'amdgpu':
      return [node('kfd', true)];
    default:
      return root.exists(`${fn.path}/infiniband`) ? [node('infiniband/rdma_cm', true)] : [];
  }
}

/** Highest minor of an NVIDIA GPU; 255 is nvidiactl. */
const NVIDIA_MINORS = 255;

/** The driver's own list maps GPUs to /dev/nvidiaN. If it does not list one, any of them may be it. */
function nvidiaMinors(root: HostRoot, fn: NodeOwner): number[] {
  const information = root.text(`/proc/driver/nvidia/gpus/${fn.address}/information`) ?? '';
  const minor = integer(/^Device Minor:\s*(\d+)\s*$/m.exec(information)?.[1] ?? null);
  return minor === null ? Array.from({ length: NVIDIA_MINORS }, (_, each) => each) : [minor];
}

/** The files through which a user-space driver maps a BAR: `resource0`, `resource2_wc`. */
function regionFiles(root: HostRoot, fn: NodeOwner): FunctionNode[] {
  return (root.list(fn.path) ?? [])
    .filter(name => /^resource\d+(_wc)?$/.test(name))
    .map(name => ({ path: `${fn.path}/${name}`, number: null, shared: false }));
}
