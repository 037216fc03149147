import type * as z from 'zod';
import type { NetOffloads } from '../backends/net.ts';
import type { Zod } from '../zod.ts';

/** Feature bits (virtio 1.3 §5.1.3). */
export const NET_FEATURE = {
  checksum: 1n << 0n,
  guestChecksum: 1n << 1n,
  /** The driver may change which incomplete frames it takes. */
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
  /** A received frame may be spread over several buffers. */
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
  speedDuplex: 1n << 63n,
} as const;

type Name = keyof typeof NET_FEATURE;

/** The features that options switch off, by QEMU's names, with what each is. */
const SWITCHES = [
  ['csum', 'checksum', 'frames that the guest sends without complete checksums'],
  ['guest_csum', 'guestChecksum', 'frames that it receives without complete checksums'],
  ['guest_tso4', 'guestTso4', 'large TCP segments of IPv4 that it receives'],
  ['guest_tso6', 'guestTso6', 'large TCP segments of IPv6 that it receives'],
  ['guest_ecn', 'guestEcn', 'those with congestion notification'],
  ['guest_ufo', 'guestUfo', 'large UDP datagrams that it receives'],
  ['guest_uso4', 'guestUso4', 'several UDP datagrams of IPv4 at once that it receives'],
  ['guest_uso6', 'guestUso6', 'several UDP datagrams of IPv6 at once that it receives'],
  ['host_tso4', 'hostTso4', 'large TCP segments of IPv4 that it sends'],
  ['host_tso6', 'hostTso6', 'large TCP segments of IPv6 that it sends'],
  ['host_ecn', 'hostEcn', 'those with congestion notification'],
  ['host_ufo', 'hostUfo', 'large UDP datagrams that it sends'],
  ['host_uso', 'hostUso', 'several UDP datagrams at once that it sends'],
  ['mrg_rxbuf', 'mergeableBuffers', 'received frames that are spread over several buffers'],
  ['status', 'status', 'whether the cable is plugged in'],
  ['ctrl_vq', 'ctrlQueue', 'a control queue'],
  ['ctrl_rx', 'ctrlRx', 'modes of reception'],
  ['ctrl_vlan', 'ctrlVlan', 'filtering of VLANs'],
  ['ctrl_rx_extra', 'ctrlRxExtra', 'more modes of reception'],
  ['ctrl_mac_addr', 'ctrlMac', 'changes of the address by the guest'],
  ['ctrl_guest_offloads', 'ctrlGuestOffloads', 'changes of the offloads of reception by the guest'],
  ['guest_announce', 'guestAnnounce', 'announcing itself to the network after it was moved'],
  ['mq', 'multiqueue', 'more than one pair of queues'],
] as const satisfies readonly (readonly [string, Name, string])[];

type Hyphenated<Text extends string> = Text extends `${infer Head}_${infer Tail}`
  ? `${Head}-${Hyphenated<Tail>}`
  : Text;
type SwitchOption = Hyphenated<(typeof SWITCHES)[number][0]> | 'gso';

const optionOf = (name: string) => name.replaceAll('_', '-');

/** The options that switch features off. `gso`: all large segments that the guest sends. */
export function switchFields(z: Zod): Record<SwitchOption, z.ZodOptional<z.ZodBoolean>> {
  const field = (what: string) =>
    z
      .boolean()
      .optional()
      .meta({ description: `${what}; on if absent`, examples: [false] });
  return {
    ...Object.fromEntries(SWITCHES.map(([name, , what]) => [optionOf(name), field(what)])),
    gso: field('large segments that the guest sends'),
  } as Record<SwitchOption, z.ZodOptional<z.ZodBoolean>>;
}

/** QEMU's properties for them. */
export const SWITCH_PROPERTIES: Readonly<Record<string, string>> = {
  ...Object.fromEntries(SWITCHES.map(([name]) => [name, optionOf(name)])),
  gso: 'gso',
};

/** What each feature is no use without (§5.1.3.1). */
const REQUIRES: readonly (readonly [Name, Name])[] = [
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
  ['ctrlMac', 'ctrlQueue'],
  ['ctrlGuestOffloads', 'ctrlQueue'],
];

/** The features of the offloads that are possible. */
const OFFLOADS: readonly (readonly [Name, 'takes' | 'gives', keyof NetOffloads])[] = [
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
  readonly mtu: number | null;
  readonly speedDuplex: boolean;
  /** Whether an option leaves a feature on. */
  readonly switches: Readonly<Record<string, unknown>>;
};

/** The features of a device for such a network. */
export function netFeatures({ takes, gives, pairs, mtu, speedDuplex, switches }: FeatureChoices): bigint {
  const off = new Set<Name>(
    SWITCHES.flatMap(([name, feature]) => (switches[optionOf(name)] === false ? [feature] : [])),
  );
  if (switches.gso === false)
    for (const name of ['hostTso4', 'hostTso6', 'hostEcn', 'hostUfo', 'hostUso'] as const) off.add(name);
  for (const [name, side, offload] of OFFLOADS)
    if (!(side === 'takes' ? takes : gives)[offload]) off.add(name);
  if (pairs < 2) off.add('multiqueue');
  if (mtu === null) off.add('mtu');
  if (!speedDuplex) off.add('speedDuplex');
  if (off.has('guestChecksum')) off.add('ctrlGuestOffloads');
  for (const [name, needed] of REQUIRES) if (off.has(needed)) off.add(name);
  const names = (Object.keys(NET_FEATURE) as Name[]).filter(name => !off.has(name));
  return names.reduce((all, name) => all | NET_FEATURE[name], 0n);
}

/** The bits that a driver may set by a command: those of incomplete frames that it takes (§5.1.6.5.6.1). */
export const GUEST_OFFLOADS =
  NET_FEATURE.guestChecksum |
  NET_FEATURE.guestTso4 |
  NET_FEATURE.guestTso6 |
  NET_FEATURE.guestEcn |
  NET_FEATURE.guestUfo |
  NET_FEATURE.guestUso4 |
  NET_FEATURE.guestUso6;

/** Which incomplete frames a driver with these bits takes. */
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
