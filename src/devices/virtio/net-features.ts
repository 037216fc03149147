import type { NetOffloads } from '../backends/net.ts';

/** Feature bits (virtio 1.3 §5.1.3). */
export const NET_FEATURE = {
  checksum: 1n << 0n,
  guestChecksum: 1n << 1n,
  /** The driver may change which incomplete frames it accepts. */
  ctrlGuestOffloads: 1n << 2n,
  mtu: 1n << 3n,
  mac: 1n << 5n,
  guestTso4: 1n << 7n,
  guestTso6: 1n << 8n,
  guestEcn: 1n << 9n,
  guestUfo: 1n << 10n,
  hostTso4: 1n << 11n,
  hostTso6: 1n << 12n,
  hostEcn: 1n << 13n,
  hostUfo: 1n << 14n,
  /** A received frame may span several buffers. */
  mergeableBuffers: 1n << 15n,
  status: 1n << 16n,
  ctrlQueue: 1n << 17n,
  ctrlRx: 1n << 18n,
  ctrlVlan: 1n << 19n,
  ctrlRxExtra: 1n << 20n,
  /** The driver announces itself to the network when the device asks for that. */
  guestAnnounce: 1n << 21n,
  multiqueue: 1n << 22n,
  ctrlMac: 1n << 23n,
  guestUso4: 1n << 54n,
  guestUso6: 1n << 55n,
  hostUso: 1n << 56n,
  /** The driver may configure how received frames are spread over the queues. */
  rss: 1n << 60n,
  speedDuplex: 1n << 63n,
} as const;

export type NetFeatureName = keyof typeof NET_FEATURE;

/** The features that each feature requires (§5.1.3.1). */
const REQUIRES: readonly (readonly [NetFeatureName, NetFeatureName])[] = [
  ['guestTso4', 'guestChecksum'],
  ['guestTso6', 'guestChecksum'],
  ['guestUfo', 'guestChecksum'],
  ['guestUso4', 'guestChecksum'],
  ['guestUso6', 'guestChecksum'],
  ['hostTso4', 'checksum'],
  ['hostTso6', 'checksum'],
  ['hostUfo', 'checksum'],
  ['hostUso', 'checksum'],
  ['ctrlRx', 'ctrlQueue'],
  ['ctrlVlan', 'ctrlQueue'],
  ['ctrlRxExtra', 'ctrlQueue'],
  ['guestAnnounce', 'ctrlQueue'],
  ['guestAnnounce', 'status'],
  ['multiqueue', 'ctrlQueue'],
  ['rss', 'ctrlQueue'],
  ['ctrlMac', 'ctrlQueue'],
  ['ctrlGuestOffloads', 'ctrlQueue'],
];

/** The features of the possible offloads. */
const OFFLOADS: readonly (readonly [NetFeatureName, 'takes' | 'gives', keyof NetOffloads])[] = [
  ['checksum', 'takes', 'checksum'],
  ['hostTso4', 'takes', 'tso4'],
  ['hostTso6', 'takes', 'tso6'],
  ['hostEcn', 'takes', 'ecn'],
  ['hostUfo', 'takes', 'ufo'],
  ['hostUso', 'takes', 'uso4'],
  ['guestChecksum', 'gives', 'checksum'],
  ['guestTso4', 'gives', 'tso4'],
  ['guestTso6', 'gives', 'tso6'],
  ['guestEcn', 'gives', 'ecn'],
  ['guestUfo', 'gives', 'ufo'],
  ['guestUso4', 'gives', 'uso4'],
  ['guestUso6', 'gives', 'uso6'],
];

export type FeatureChoices = {
  readonly takes: NetOffloads;
  readonly gives: NetOffloads;
  readonly pairs: number;
  /** Whether the network can spread received frames as a driver configures. */
  readonly scales: boolean;
  readonly mtu: number | null;
  readonly speedDuplex: boolean;
  /** Features that options disable. */
  readonly unwanted: readonly NetFeatureName[];
};

/** The features of a device for such a network. */
export function netFeatures({
  takes,
  gives,
  pairs,
  scales,
  mtu,
  speedDuplex,
  unwanted,
}: FeatureChoices): bigint {
  const off = new Set<NetFeatureName>(unwanted);
  for (const [name, side, offload] of OFFLOADS)
    if (!(side === 'takes' ? takes : gives)[offload]) off.add(name);
  if (pairs < 2) off.add('multiqueue');
  if (pairs < 2 || !scales) off.add('rss');
  if (mtu === null) off.add('mtu');
  if (!speedDuplex) off.add('speedDuplex');
  if (off.has('guestChecksum')) off.add('ctrlGuestOffloads');
  for (const [name, needed] of REQUIRES) if (off.has(needed)) off.add(name);
  const names = (Object.keys(NET_FEATURE) as NetFeatureName[]).filter(name => !off.has(name));
  return names.reduce((all, name) => all | NET_FEATURE[name], 0n);
}

/** The bits that a driver may set by a command: those of incomplete frames that it accepts (§5.1.6.5.6.1). */
export const GUEST_OFFLOADS =
  NET_FEATURE.guestChecksum |
  NET_FEATURE.guestTso4 |
  NET_FEATURE.guestTso6 |
  NET_FEATURE.guestEcn |
  NET_FEATURE.guestUfo |
  NET_FEATURE.guestUso4 |
  NET_FEATURE.guestUso6;

/** The incomplete frames that a driver with these bits accepts. */
export function offloadsOf(bits: bigint): NetOffloads {
  const has = (bit: bigint) => (bits & bit) !== 0n;
  return {
    checksum: has(NET_FEATURE.guestChecksum),
    tso4: has(NET_FEATURE.guestTso4),
    tso6: has(NET_FEATURE.guestTso6),
    ecn: has(NET_FEATURE.guestEcn),
    ufo: has(NET_FEATURE.guestUfo),
    uso4: has(NET_FEATURE.guestUso4),
    uso6: has(NET_FEATURE.guestUso6),
  };
}
