import path from 'node:path';
import type { PciFunction } from '../pci/function.ts';
import type { HostRoot } from '../root.ts';
import { type FunctionNode, readFunctionNodes } from './device-nodes.ts';
import { type Holder, holdersOf } from './holders.ts';
import type { OpenFile, OpenFiles } from './open-files.ts';

/** A process that uses a function through its device files. */
export type DeviceUser = {
  readonly holder: Holder;
  /** The files it has open or mapped: `/dev/nvidia0`. */
  readonly paths: readonly string[];
  /** All of them serve every function of the driver, so it may use another one. */
  readonly shared: boolean;
};

export type DeviceUsers = {
  readonly byAddress: ReadonlyMap<string, readonly DeviceUser[]>;
  /** False if processes of other users could not be examined. */
  readonly complete: boolean;
};

/**
 * Processes that use these functions through device files, on the host or in its containers.
 * @param files read with `devices`
 */
export function readDeviceUsers(files: OpenFiles, functions: readonly PciFunction[]): DeviceUsers {
  return usersOfNodes(files, readFunctionNodes(files.root, functions));
}

/** @param nodes by address */
export function usersOfNodes(
  files: OpenFiles,
  nodes: ReadonlyMap<string, readonly FunctionNode[]>,
): DeviceUsers {
  const all = [...nodes.values()].flat();
  const { byKey, complete } = holdersOf(files, nodeFinder(files.root, all));
  const byAddress = new Map([...nodes].map(([address, own]) => [address, usersOf(own, byKey)] as const));
  return { byAddress, complete };
}

function usersOf(
  nodes: readonly FunctionNode[],
  holders: ReadonlyMap<string, readonly Holder[]>,
): DeviceUser[] {
  const uses = nodes.flatMap(node => (holders.get(node.path) ?? []).map(holder => ({ node, holder })));
  return [...Map.groupBy(uses, use => use.holder.pid).values()].map(own => ({
    holder: own[0]!.holder,
    paths: own.map(use => use.node.path),
    shared: own.every(use => use.node.shared),
  }));
}

/**
 * Finds the node of an open file by its path or device number. A container has its own /dev, and /proc shows paths
 * relative to that mount: `/nvidia0`, or `/` for a node that was bind-mounted alone.
 */
function nodeFinder(root: HostRoot, nodes: readonly FunctionNode[]): (file: OpenFile) => string | null {
  const byPath = new Map(nodes.map(node => [node.path, node.path]));
  const names = new Set(nodes.map(node => path.posix.basename(node.path)));
  const byNumber = new Map(nodes.map(node => [node.number, node.path]));
  return ({ target, link, number: known }) => {
    const plain = target.replace(/ \(deleted\)$/, '');
    const found = byPath.get(plain);
    if (found !== undefined) return found;
    const isNamedLikeOne = link !== null && known === undefined && names.has(path.posix.basename(plain));
    const number = known ?? (isNamedLikeOne ? root.deviceNumber(link) : null);
    return number === null ? null : (byNumber.get(number) ?? null);
  };
}
