import { type PciNode, type PciRootBus, pciTree } from '../host/pci/tree.ts';
import type { HostSnapshot } from '../host-service/snapshot.ts';
import type { HostView } from './device-owners.ts';
import { filteredRows, type RowSource } from './host-lists.ts';
import type { PciRow } from './host-rows.ts';

type Options = { readonly toggled: ReadonlySet<string>; readonly filter: string };

/** The tree as lines. VFs are folded at first, as there may be hundreds. A filter opens everything. */
export function pciRows(host: HostView, { toggled, filter }: Options): readonly PciRow[] {
  return filter === '' ? treeRows(host, toggled) : filteredRows(PCI_TREE, host, filter);
}

/** The fully open tree. */
export const PCI_TREE: RowSource<PciRow> = {
  list: 'pci',
  rows: host => treeRows(host, null),
  depth: ({ depth }) => depth,
  searchable: ({ address }) => address !== null,
};

/** All functions as a flat list, as the tree only exists in its own order. */
export const PCI_FUNCTIONS: RowSource<PciRow> = {
  list: 'pci',
  rows: host =>
    [...host.functions.keys()].map(address => ({
      key: address,
      address,
      name: address,
      depth: 0,
      open: null,
      matches: true,
    })),
};

/** @param toggled nodes that differ from their initial state; null to open everything */
function treeRows(host: HostSnapshot, toggled: ReadonlySet<string> | null): PciRow[] {
  const buses = treeOf(host.functions);
  const lines: PciRow[] = [];
  const add = (node: PciNode, depth: number): void => {
    const { address, children } = node;
    const closedAtFirst = (host.functions.get(address)?.virtualFunctions.length ?? 0) > 0;
    const open = toggled === null || closedAtFirst === toggled.has(address);
    const foldable = children.length > 0;
    lines.push({ key: address, address, name: address, depth, open: foldable ? open : null, matches: true });
    if (open) for (const child of children) add(child, depth + 1);
  };
  // A single root bus needs no line.
  if (buses.length === 1) for (const node of buses[0]!.children) add(node, 0);
  else {
    for (const { bus, children } of buses) {
      const key = `bus ${bus}`;
      const open = toggled === null || !toggled.has(key);
      lines.push({ key, address: null, name: bus, depth: 0, open, matches: true });
      if (open) for (const node of children) add(node, 1);
    }
  }
  return lines;
}

/** The nodes to toggle so that a function becomes visible. */
export function toggledToShow(
  host: HostSnapshot,
  toggled: ReadonlySet<string>,
  address: string,
): ReadonlySet<string> {
  const next = new Set(toggled);
  const open = (node: PciNode): boolean => {
    if (node.address === address) return true;
    if (!node.children.some(open)) return false;
    const closedAtFirst = (host.functions.get(node.address)?.virtualFunctions.length ?? 0) > 0;
    if (closedAtFirst) next.add(node.address);
    else next.delete(node.address);
    return true;
  };
  for (const { bus, children } of treeOf(host.functions)) {
    if (children.some(open)) next.delete(`bus ${bus}`);
  }
  return next;
}

const trees = new WeakMap<HostSnapshot['functions'], readonly PciRootBus[]>();

/** The tree, built once for each read of the functions, not for each key of a filter. */
function treeOf(functions: HostSnapshot['functions']): readonly PciRootBus[] {
  const tree = trees.get(functions) ?? pciTree([...functions.values()]);
  trees.set(functions, tree);
  return tree;
}
