import type { InterfaceTraffic, NetworkList } from '../host/networks/read.ts';
import type { SliceCreator } from './slice.ts';

/** Bytes and packets per second between two reads. */
export type NetworkRates = InterfaceTraffic;

export type NetworksSlice = {
  /** The networks of vring, as they were read last; null before that. */
  readonly networks: NetworkList | null;
  /** By network; absent for one that is down, or was read once. */
  readonly networkRates: ReadonlyMap<string, NetworkRates>;
  /** When they were read, in milliseconds of a monotonic clock. */
  readonly networksReadAt: number;

  networksRead(list: NetworkList, at: number): void;
};

export const createNetworksSlice: SliceCreator<NetworksSlice> = set => ({
  networks: null,
  networkRates: new Map(),
  networksReadAt: 0,

  networksRead: (networks, at) =>
    set(state => ({
      networks,
      networksReadAt: at,
      networkRates: ratesBetween(state.networks, networks, (at - state.networksReadAt) / 1000),
    })),
});

/** Counters of a bridge that was made anew start at 0: there is no rate then. */
function ratesBetween(
  before: NetworkList | null,
  now: NetworkList,
  seconds: number,
): Map<string, NetworkRates> {
  const rates = new Map<string, NetworkRates>();
  if (before === null || seconds <= 0) return rates;
  const earlier = new Map(before.networks.map(({ name, traffic }) => [name, traffic]));
  for (const { name, traffic } of now.networks) {
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
