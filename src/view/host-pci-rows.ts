import { type PciNode, type PciRootBus, pciTree } from '../host/pci/tree.ts';
import type { HostSnapshot } from '../host-service/snapshot.ts';
import { hostFilter } from './host-lists.ts';
import type { HostRow, PciRow } from './host-rows.ts';

type Options = { readonly toggled: ReadonlySet<string>; readonly filter: string };

/** The tree as lines. Virtual functions are folded away at first: there may be hundreds. A filter opens everything. */
export function pciRows(host: HostSnapshot, { toggled, filter }: Options): readonly PciRow[] {
  const buses = treeOf(host.functions);
  const lets = hostFilter<HostRow>(host, 'pci', filter);
  const rows = (node: PciNode, depth: number): PciRow[] => {
    const { address } = node;
    const closedAtFirst = (host.functions.get(address)?.virtualFunctions.length ?? 0) > 0;
    const open = filter !== '' || closedAtFirst === toggled.has(address);
    const below = open ? node.children.flatMap(child => rows(child, depth + 1)) : [];
    const matches = lets({ key: address, address });
    if (!matches && below.length === 0) return [];
    const foldable = node.children.length > 0;
    return [{ key: address, address, name: address, depth, open: foldable ? open : null, matches }, ...below];
  };
  // A host with one root bus has no need of a line for it.
  if (buses.length === 1) return buses[0]!.children.flatMap(node => rows(node, 0));
  return buses.flatMap(({ bus, children }) => {
    const key = `bus ${bus}`;
    const open = filter !== '' || !toggled.has(key);
    const below = children.flatMap(node => (open ? rows(node, 1) : []));
    if (filter !== '' && below.length === 0) return [];
    return [{ key, address: null, name: bus, depth: 0, open, matches: filter === '' }, ...below];
  });
}

/** All functions without their tree, which has no place in another order. */
export function flatPciRows(host: HostSnapshot, filter: string): readonly PciRow[] {
  const lets = hostFilter<HostRow>(host, 'pci', filter);
  return [...host.functions.keys()]
    .map(address => ({ key: address, address, name: address, depth: 0, open: null, matches: true }))
    .filter(lets);
}

/** What of the tree must be opened, or is closed at first and must be toggled, for a function to be in sight. */
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

/** The tree, put together once for as long as the functions are as they were read, and not for each key of a filter. */
function treeOf(functions: HostSnapshot['functions']): readonly PciRootBus[] {
  const tree = trees.get(functions) ?? pciTree([...functions.values()]);
  trees.set(functions, tree);
  return tree;
}
