import { UNCLAIMED } from '../../devices/bus.ts';
import { ADDRESS, ADDRESS_ENTRIES, parseAddressKey } from '../../vmm/counters/counters.ts';
import type { Topology } from '../../vmm/machine/topology.ts';
import { countedRegions } from './counted.ts';
import type { Window } from './window.ts';

/** Accesses handled by a device model. */
export type AccessRates = {
  readonly reads: number;
  readonly writes: number;
  /** Share of wall time spent in device models. */
  readonly share: number;
  /** Mean time of an access in its device model; null without an access in this window. */
  readonly meanNs: number | null;
  /** Accesses since the baseline. */
  readonly total: number;
};

export type AddressRates = AccessRates & {
  readonly space: 'port' | 'memory';
  readonly address: number;
  /** The device at the address; null if there is none. */
  readonly device: string | null;
  /** The `index` of its range of ports or memory in the topology. */
  readonly region: number;
};

export type AddressHeat = {
  /** Addresses with an access since the baseline, the most expensive first. */
  readonly addresses: readonly AddressRates[];
  /** The total cost of all others. */
  readonly otherAddresses: AccessRates;
};

/** A guest may use a thousand addresses, and each row is sent to every screen that shows them. */
const MAX_ROWS = 50;

/** The cost of each exact address, over the ports and memory that cause exits. */
export function addressHeat(window: Window, topology: Topology | null): AddressHeat {
  const rows = addressRows(window, topology).sort(byCost);
  const beyond = rows.slice(MAX_ROWS);
  const uncounted = accessRates(window, window.after.layout.otherAddresses);
  return { addresses: rows.slice(0, MAX_ROWS), otherAddresses: beyond.reduce(sum, uncounted) };
}

function addressRows(window: Window, topology: Topology | null): AddressRates[] {
  const { layout, words } = window.after;
  const regions = new Map(countedRegions(window.after, topology).map(region => [region.index, region]));
  const rows: AddressRates[] = [];
  for (let entry = 0; entry < ADDRESS_ENTRIES; entry++) {
    const base = layout.address(entry);
    const key = parseAddressKey(words[base + ADDRESS.key]!);
    const label = key && regions.get(key.region);
    if (!key || !label) continue;
    const rates = accessRates(window, base);
    if (rates.total === 0) continue;
    const device = label.device === UNCLAIMED ? null : label.device;
    rows.push({ space: label.space, ...key, device, ...rates });
  }
  return rows;
}

function accessRates(window: Window, base: number): AccessRates {
  const accesses = window.moved(base + ADDRESS.reads) + window.moved(base + ADDRESS.writes);
  return {
    reads: window.perSecond(base + ADDRESS.reads),
    writes: window.perSecond(base + ADDRESS.writes),
    share: window.share(base + ADDRESS.ns),
    meanNs: accesses === 0 ? null : window.moved(base + ADDRESS.ns) / accesses,
    total: window.total(base + ADDRESS.reads) + window.total(base + ADDRESS.writes),
  };
}

function byCost(a: AddressRates, b: AddressRates): number {
  return b.share - a.share || b.total - a.total || a.region - b.region || a.address - b.address;
}

function sum(a: AccessRates, b: AccessRates): AccessRates {
  const [reads, writes, share] = [a.reads + b.reads, a.writes + b.writes, a.share + b.share];
  const meanNs = reads + writes === 0 ? null : (share * 1e9) / (reads + writes);
  return { reads, writes, share, meanNs, total: a.total + b.total };
}
