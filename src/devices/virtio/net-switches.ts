import type * as z from 'zod';
import type { Zod } from '../zod.ts';
import type { NetFeatureName } from './net-features.ts';

/** The features that options disable, by QEMU's names, with a description of each. */
const SWITCHES = [
  ['csum', 'checksum', 'frames that the guest sends without complete checksums'],
  ['guest_csum', 'guestChecksum', 'frames that it receives without complete checksums'],
  ['guest_tso4', 'guestTso4', 'large TCP segments of IPv4 that it receives'],
  ['guest_tso6', 'guestTso6', 'large TCP segments of IPv6 that it receives'],
  ['guest_ecn', 'guestEcn', 'those with congestion notification'],
  ['guest_ufo', 'guestUfo', 'large UDP datagrams that it receives'],
  ['guest_uso4', 'guestUso4', 'batches of IPv4 UDP datagrams that it receives'],
  ['guest_uso6', 'guestUso6', 'batches of IPv6 UDP datagrams that it receives'],
  ['host_tso4', 'hostTso4', 'large TCP segments of IPv4 that it sends'],
  ['host_tso6', 'hostTso6', 'large TCP segments of IPv6 that it sends'],
  ['host_ecn', 'hostEcn', 'those with congestion notification'],
  ['host_ufo', 'hostUfo', 'large UDP datagrams that it sends'],
  ['host_uso', 'hostUso', 'batches of UDP datagrams that it sends'],
  ['mrg_rxbuf', 'mergeableBuffers', 'received frames that are spread over several buffers'],
  ['status', 'status', 'whether the cable is plugged in'],
  ['ctrl_vq', 'ctrlQueue', 'a control queue'],
  ['ctrl_rx', 'ctrlRx', 'modes of reception'],
  ['ctrl_vlan', 'ctrlVlan', 'filtering of VLANs'],
  ['ctrl_rx_extra', 'ctrlRxExtra', 'additional receive modes'],
  ['ctrl_mac_addr', 'ctrlMac', 'changes of the MAC address by the guest'],
  ['ctrl_guest_offloads', 'ctrlGuestOffloads', 'changes of the receive offloads by the guest'],
  ['guest_announce', 'guestAnnounce', 'announcing itself to the network after a move'],
  ['mq', 'multiqueue', 'more than one pair of queues'],
  ['rss', 'rss', 'receive-side scaling: received frames spread over the queues as the guest has it'],
] as const satisfies readonly (readonly [string, NetFeatureName, string])[];

type Hyphenated<Text extends string> = Text extends `${infer Head}_${infer Tail}`
  ? `${Head}-${Hyphenated<Tail>}`
  : Text;
type SwitchOption = Hyphenated<(typeof SWITCHES)[number][0]> | 'gso';

const optionOf = (name: string) => name.replaceAll('_', '-');

/** The options that disable features. `gso`: all large segments that the guest sends. */
export function switchFields(z: Zod): Record<SwitchOption, z.ZodOptional<z.ZodBoolean>> {
  const field = (what: string) =>
    z
      .boolean()
      .optional()
      .meta({ description: `${what} (default: on)`, examples: [false] });
  return {
    ...Object.fromEntries(SWITCHES.map(([name, , what]) => [optionOf(name), field(what)])),
    gso: field('large segments that the guest sends'),
  } as Record<SwitchOption, z.ZodOptional<z.ZodBoolean>>;
}

/** QEMU's properties for these options. */
export const SWITCH_PROPERTIES: Readonly<Record<string, string>> = {
  ...Object.fromEntries(SWITCHES.map(([name]) => [name, optionOf(name)])),
  gso: 'gso',
};

/** The features that these options disable. */
export function switchedOff(options: Readonly<Record<string, unknown>>): NetFeatureName[] {
  const off = SWITCHES.flatMap(([name, feature]) => (options[optionOf(name)] === false ? [feature] : []));
  return options.gso === false ? [...off, 'hostTso4', 'hostTso6', 'hostEcn', 'hostUfo', 'hostUso'] : off;
}
