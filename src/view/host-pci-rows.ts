import { type PciNode, pciTree } from '../host/pci/tree.ts';
import type { HostSnapshot } from '../host-service/snapshot.ts';
import { functionFilter } from './host-filter.ts';

/** A line of the PCI tree. */
export type PciRow = {
  /** The address, or `bus 0000:3a`. */
  readonly key: string;
  /** Null for a root bus. */
  readonly address: string | null;
  /** The bus of a root bus, the address of all others. */
  readonly name: string;
  readonly depth: number;
  /** Null: nothing is below it. */
  readonly open: boolean | null;
  /** False for what is shown for the sake of something below it. */
  readonly matches: boolean;
};

type Options = { readonly toggled: ReadonlySet<string>; readonly filter: string };

/** The tree as lines. Virtual functions are folded away at first: there may be hundreds. A filter opens everything. */
export function pciRows(host: HostSnapshot, { toggled, filter }: Options): readonly PciRow[] {
  const buses = pciTree([...host.functions.values()]);
  const lets = functionFilter(host, filter);
  const rows = (node: PciNode, depth: number): PciRow[] => {
    const { address } = node;
    const closedAtFirst = (host.functions.get(address)?.virtualFunctions.length ?? 0) > 0;
    const open = filter !== '' || closedAtFirst === toggled.has(address);
    const below = open ? node.children.flatMap(child => rows(child, depth + 1)) : [];
    const matches = lets(address);
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
