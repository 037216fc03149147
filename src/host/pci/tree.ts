import { slotOf } from './address.ts';
import type { PciFunction, PciSummary } from './function.ts';

/** A function and what is below it: a bridge's children, a physical function's VFs. */
export type PciNode = { readonly address: string; readonly children: readonly PciNode[] };

/** A root bus; `0000:00`. */
export type PciRootBus = { readonly bus: string; readonly children: readonly PciNode[] };

/** The buses as trees, in order of address. VFs are below their physical function. */
export function pciTree(functions: readonly PciSummary[]): PciRootBus[] {
  const present = new Set(functions.map(fn => fn.address));
  const below = Map.groupBy(functions, fn => {
    if (fn.physicalFunction && present.has(fn.physicalFunction)) return fn.physicalFunction;
    return fn.parent && present.has(fn.parent) ? fn.parent : `root ${fn.rootBus}`;
  });
  const nodes = (key: string): PciNode[] =>
    (below.get(key) ?? []).map(fn => ({ address: fn.address, children: nodes(fn.address) }));
  const buses = [...new Set(functions.map(fn => fn.rootBus))];
  return buses.filter(bus => below.has(`root ${bus}`)).map(bus => ({ bus, children: nodes(`root ${bus}`) }));
}

/** The bridges between a function and its root bus, nearest first. */
export function bridgesAbove(
  fn: PciFunction,
  byAddress: ReadonlyMap<string, PciFunction>,
): readonly PciFunction[] {
  const found: PciFunction[] = [];
  let above = fn.parent;
  while (above !== null) {
    const bridge = byAddress.get(above);
    if (!bridge) break;
    found.push(bridge);
    above = bridge.parent;
  }
  return found;
}

/** All physical functions of the device that `fn` is part of, including itself. */
export function functionsOfSlot(fn: PciFunction, functions: readonly PciFunction[]): PciFunction[] {
  return functions.filter(
    other => slotOf(other.address) === slotOf(fn.address) && other.physicalFunction === null,
  );
}
