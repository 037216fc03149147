import type { HostNetworks } from '../host/networks/host-networks.ts';
import type { InterfaceTraffic } from '../host/networks/read.ts';
import type { ListCursor } from './screens.ts';
import type { SliceCreator } from './slice.ts';

/** Bytes and packets per second between two reads. */
export type NetworkRates = InterfaceTraffic;

export type NetworksSlice = {
  /** What VMs can be connected to on the host, as last read; null before the first read. */
  readonly networks: HostNetworks | null;
  /** By host interface; missing for one that is down, or was read only once. */
  readonly networkRates: ReadonlyMap<string, NetworkRates>;
  /** When they were read, in milliseconds of a monotonic clock. */
  readonly networksReadAt: number;
  /** Why they could not be read; null if they were. */
  readonly networksProblem: string | null;
  readonly networkCursor: ListCursor | null;

  networksRead(list: HostNetworks, at: number): void;
  networksFailed(problem: string): void;
  setNetworkCursor(cursor: ListCursor): void;
};

export const createNetworksSlice: SliceCreator<NetworksSlice> = set => ({
  networks: null,
  networkRates: new Map(),
  networksReadAt: 0,
  networksProblem: null,
  networkCursor: null,

  networksRead: (networks, at) =>
    set(state => ({
      networks,
      networksReadAt: at,
      networksProblem: null,
      networkRates: ratesBetween(state.networks, networks, (at - state.networksReadAt) / 1000),
    })),
  networksFailed: networksProblem => set({ networksProblem }),
  setNetworkCursor: networkCursor => set({ networkCursor }),
});

/** A recreated interface counts from 0: there is then no rate. */
function ratesBetween(
  before: HostNetworks | null,
  now: HostNetworks,
  seconds: number,
): Map<string, NetworkRates> {
  const rates = new Map<string, NetworkRates>();
  if (before === null || seconds <= 0) return rates;
  const earlier = new Map(trafficOf(before));
  for (const [name, traffic] of trafficOf(now)) {
    const then = earlier.get(name);
    if (traffic === null || then == null || traffic.receivedBytes < then.receivedBytes) continue;
    const rate = (key: keyof InterfaceTraffic) => Math.max(0, traffic[key] - then[key]) / seconds;
    rates.set(name, {
      receivedBytes: rate('receivedBytes'),
      receivedPackets: rate('receivedPackets'),
      sentBytes: rate('sentBytes'),
      sentPackets: rate('sentPackets'),
    });
  }
  return rates;
}

function trafficOf({ networks, interfaces }: HostNetworks): (readonly [string, InterfaceTraffic | null])[] {
  return [
    ...networks.map(({ bridge, traffic }) => [bridge, traffic] as const),
    ...interfaces.map(({ name, traffic }) => [name, traffic] as const),
  ];
}
