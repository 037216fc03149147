import type { AccessRates } from '../engine/sampling/address-rates.ts';
import type { VmDetail } from '../engine/sampling/rates.ts';
import type { AddressOrder } from '../store/vm-view-slice.ts';

/** An address's share of the total cost. */
export type Heat = 'hot' | 'warm' | 'cool' | 'cold';

export type AddressRow = AccessRates & {
  readonly key: string;
  /** `port 3f8`, `fed00000`; one row stands for all that have none. */
  readonly at: string;
  /** Null if no device handles it. */
  readonly device: string | null;
  readonly perSecond: number;
  /** Share of the total cost of all addresses. */
  readonly part: number;
  readonly heat: Heat;
};

/** The addresses that caused exits since the baseline; those without their own row come last. */
export function addressRows({ addresses, otherAddresses }: VmDetail, order: AddressOrder): AddressRow[] {
  const all = addresses.reduce((sum, { share }) => sum + share, otherAddresses.share);
  const row = (key: string, at: string, device: string | null, rates: AccessRates): AddressRow => {
    const part = all === 0 ? 0 : rates.share / all;
    return { ...rates, key, at, device, perSecond: rates.reads + rates.writes, part, heat: heatOf(part) };
  };
  const rows = [...addresses]
    .sort(COMPARE[order])
    .map(rates =>
      row(
        `${rates.space} ${rates.region} ${rates.address}`,
        `${rates.space === 'port' ? 'port ' : ''}${rates.address.toString(16)}`,
        rates.device,
        rates,
      ),
    );
  return otherAddresses.total === 0 ? rows : [...rows, row('others', 'all others', '', otherAddresses)];
}

type Compared = VmDetail['addresses'][number];

/** `cost` is their original order. */
const COMPARE: Readonly<Record<AddressOrder, (a: Compared, b: Compared) => number>> = {
  cost: () => 0,
  rate: (a, b) => b.reads + b.writes - a.reads - a.writes || b.total - a.total,
  address: (a, b) => (a.space === b.space ? a.address - b.address : a.space === 'port' ? -1 : 1),
};

function heatOf(part: number): Heat {
  if (part >= 0.5) return 'hot';
  if (part >= 0.1) return 'warm';
  return part > 0 ? 'cool' : 'cold';
}
