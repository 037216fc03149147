import { compareAddresses, slotOf } from '../pci/address.ts';
import { capability } from '../pci/capabilities.ts';
import { classTraits } from '../pci/class.ts';
import type { PciFunction } from '../pci/function.ts';
import { bridgesAbove } from '../pci/tree.ts';
import { sentenceList } from '../text.ts';
import { type Isolation, isolationOf } from './acs.ts';

/** A reason why functions share a group, and the functions it applies to. */
export type SharingReason = {
  readonly kind: 'conventional-bus' | 'port' | 'functions' | 'unreadable' | 'unexplained';
  /** The bridge, port or device that does not isolate; null if none can be named. */
  readonly at: string | null;
  readonly members: readonly string[];
  /** The reason as a sentence. */
  readonly text: string;
};

/** The hardware that the kernel treats as isolating because of pcie_acs_override. */
export type OverrideMark = { readonly at: readonly string[]; readonly text: string };

type Functions = ReadonlyMap<string, PciFunction>;

/**
 * Explains a group the way the kernel builds it (pci_device_group in drivers/iommu/iommu.c): a bus with
 * shared requester ids, an upstream port without ACS, functions of one device without ACS.
 */
export function sharingReasons(group: readonly PciFunction[], all: Functions): SharingReason[] {
  if (group.length < 2) return [];
  const members = new Set(group.map(fn => fn.address));
  const reasons = [...portReasons(group, all), ...functionReasons(group)];
  const explained = new Set(reasons.flatMap(reason => reason.members));
  if (group.every(fn => explained.has(fn.address))) return reasons;
  const rest = [...members].filter(address => !explained.has(address));
  if (group.some(fn => fn.configAccess !== 'full')) {
    reasons.push({
      kind: 'unreadable',
      at: null,
      members: rest,
      text: 'cannot tell which port lacks ACS: only root can read config space',
    });
  } else {
    reasons.push({
      kind: 'unexplained',
      at: null,
      members: rest,
      text: `the kernel keeps ${sentenceList(rest)} in the group because of a quirk for this hardware (a DMA alias or a firmware table)`,
    });
  }
  return reasons;
}

/** Upstream bridges of the members that do not isolate what is below them. */
function portReasons(group: readonly PciFunction[], all: Functions): SharingReason[] {
  const below = new Map<string, Set<string>>();
  for (const fn of group) {
    for (const bridge of bridgesAbove(fn, all)) {
      const sharesGroup = bridge.iommuGroup === fn.iommuGroup;
      if (!sharesGroup && isolationOf(bridge).state !== 'shared-bus') continue;
      if (isolates(bridge)) continue;
      const entry = below.get(bridge.address) ?? new Set();
      if (sharesGroup) entry.add(bridge.address);
      below.set(bridge.address, entry.add(fn.address));
    }
  }
  return [...below]
    .filter(([, members]) => members.size > 1)
    .sort(([a], [b]) => compareAddresses(a, b))
    .map(([at, members]) => {
      const isolation = isolationOf(all.get(at)!);
      return {
        kind: isolation.state === 'shared-bus' ? 'conventional-bus' : 'port',
        at,
        members: [...members].sort(compareAddresses),
        text: portText(at, all.get(at)!, isolation),
      };
    });
}

function portText(at: string, bridge: PciFunction, isolation: Isolation): string {
  const type = capability(bridge.capabilities, 'pcie')?.type ?? 'PCI bridge';
  switch (isolation.state) {
    case 'shared-bus':
      return `the devices behind the ${type} ${at} share a conventional PCI bus, so the IOMMU sees one requester id`;
    case 'acs-off':
      return `${type} ${at} has ACS, but ${sentenceList(isolation.controls)} off: devices below it can reach each other without the IOMMU`;
    default:
      return `${type} ${at} has no ACS: devices below it can reach each other without the IOMMU`;
  }
}

/** Functions of one device that can reach each other. */
function functionReasons(group: readonly PciFunction[]): SharingReason[] {
  const devices = Map.groupBy(group, fn => slotOf(fn.address));
  return [...devices].flatMap(([slot, functions]) => {
    const guilty = functions.filter(fn => fn.multifunction && !isolates(fn));
    if (functions.length < 2 || guilty.length === 0) return [];
    const buses = classTraits(functions[0]!.class).critical !== null && functions[0]!.parent === null;
    return [
      {
        kind: 'functions' as const,
        at: slot,
        members: functions.map(fn => fn.address).sort(compareAddresses),
        text: `the functions of ${buses ? 'chipset device' : 'device'} ${slot} have no ACS: they can reach each other inside the device`,
      },
    ];
  });
}

/**
 * For a host with pcie_acs_override: what above or beside the group does not actually isolate.
 * @param slots all functions by the `slotOf` of their address
 */
export function overrideMark(
  group: readonly PciFunction[],
  all: Functions,
  slots: ReadonlyMap<string, readonly PciFunction[]>,
): OverrideMark | null {
  const members = new Set(group.map(fn => fn.address));
  const at = new Set<string>();
  for (const fn of group) {
    for (const bridge of bridgesAbove(fn, all)) {
      const state = isolationOf(bridge).state;
      if ((state === 'no-acs' || state === 'acs-off') && !members.has(bridge.address)) at.add(bridge.address);
    }
    const apart = slots.get(slotOf(fn.address))?.some(other => !members.has(other.address));
    if (apart && fn.multifunction && !isolates(fn)) at.add(fn.address);
  }
  if (at.size === 0) return null;
  const names = [...at].sort(compareAddresses);
  return {
    at: names,
    text: `pcie_acs_override makes the kernel treat ${sentenceList(names)} as isolating, but the hardware is not: a guest with this group can reach the DMA traffic of neighboring devices`,
  };
}

function isolates(fn: PciFunction): boolean {
  const { state } = isolationOf(fn);
  return state === 'isolates' || state === 'unknown';
}
