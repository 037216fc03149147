import { type PciNode, type PciRootBus, pciTree } from '../../host/pci/tree.ts';
import { truncate } from '../../text/width.ts';
import type { ListedFunction } from './pci-list.ts';
import { shortDeviceName, shortener } from './short-names.ts';

export function treeBuses(functions: readonly ListedFunction[]): PciRootBus[] {
  return pciTree(functions);
}

/** The buses as a tree, in ASCII. */
export function treeLines(functions: readonly ListedFunction[], cells: number): string[] {
  const short = shortener(functions.map(fn => fn.address));
  const byAddress = new Map(functions.map(fn => [fn.address, fn]));
  const lines: string[] = [];
  const add = (nodes: readonly PciNode[], indent: string): void => {
    for (const [index, node] of nodes.entries()) {
      const last = index === nodes.length - 1;
      lines.push(`${indent}${last ? '`-' : '|-'} ${nodeText(byAddress.get(node.address)!, short)}`);
      add(node.children, `${indent}${last ? '   ' : '|  '}`);
    }
  };
  for (const bus of treeBuses(functions)) {
    lines.push(`bus ${short(bus.bus)}`);
    add(bus.children, '');
  }
  return lines.map(line => truncate(line, cells));
}

function nodeText(fn: ListedFunction, short: (address: string) => string): string {
  const buses = fn.bridge && busRange(fn.bridge);
  const group = fn.iommuGroup === null ? '' : ` group ${fn.iommuGroup}`;
  const kind = fn.physicalFunction === null ? '' : ' VF';
  return `${short(fn.address)}${kind} ${fn.driver ?? '-'}${group}${buses ? ` -> ${buses}` : ''}  ${shortDeviceName(fn)}`;
}

function busRange({ secondary, subordinate }: { secondary: number; subordinate: number }): string {
  const hex = (bus: number): string => bus.toString(16).padStart(2, '0');
  return secondary === subordinate ? `bus ${hex(secondary)}` : `buses ${hex(secondary)}-${hex(subordinate)}`;
}
