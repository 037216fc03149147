import type * as z from 'zod';
import type { RunningQueue, VirtioQueue } from '../virtio/virtio-device.ts';
import { madeOnce, type Zod } from '../zod.ts';
import type { BackendType } from './backend-type.ts';
import { type NetLimits, netLimits } from './net-limits.ts';
import { passtArm, userArm } from './net-user.ts';

/** What the host's end of a network card may be. */
export const netBackends = [
  {
    kind: 'net',
    type: 'none',
    title: 'nothing',
    description: 'frames are dropped, and none arrive',
  },
  {
    kind: 'net',
    type: 'tap',
    title: 'TAP interface',
    description: 'an interface of the host, new or existing, whose other end is the card',
  },
  {
    kind: 'net',
    type: 'hub',
    title: 'hub',
    description: 'connects network cards of the VM and networks of the host: each frame goes to all others',
  },
  {
    kind: 'net',
    type: 'user',
    title: 'user-mode network',
    description: "NAT through the host's connections, without privileges, by libslirp",
  },
  {
    kind: 'net',
    type: 'passt',
    title: 'passt',
    description: "the host's own addresses and routes, without NAT or privileges, by passt",
  },
  {
    kind: 'net',
    type: 'bridge',
    title: 'bridge',
    description: 'a new TAP interface, attached to a bridge of the host',
  },
  {
    kind: 'net',
    type: 'macvtap',
    title: 'macvtap',
    description: 'an interface of the host, shared with its other users',
  },
  {
    kind: 'net',
    type: 'network',
    title: 'network',
    description: 'a NAT, routed or isolated network of vring on this host, which it brings up',
  },
] as const satisfies readonly BackendType[];

export type NetType = (typeof netBackends)[number]['type'];

/** The maximum number of queue pairs of a network card. */
export const MAX_QUEUE_PAIRS = 16;

const MAX_HUB = 255;
export const MAX_HUB_NETWORKS = 8;

/** What Linux accepts as the name of a network interface (15 bytes). */
const INTERFACE = /^(?!\.{1,2}$)[^\s/:\u0000-\u001f\u007f-\uffff]{1,15}$/;

/** The options of each type of network back end. All are checked before anything is opened. */
export function netOptions(z: Zod) {
  const networks = [...single(z)] as const;
  const hub = z.strictObject({
    type: z.literal('hub'),
    hub: z
      .int()
      .min(0)
      .max(MAX_HUB, `at most ${MAX_HUB}`)
      .describe('its number: cards with the same one are connected'),
    networks: z
      .array(z.discriminatedUnion('type', networks))
      .max(MAX_HUB_NETWORKS, `at most ${MAX_HUB_NETWORKS} networks`)
      .optional()
      .describe('what else is connected to it, for as long as this card is there'),
  });
  return z.discriminatedUnion('type', [...networks, hub]);
}

/** The types that a hub may have several of. */
function single(z: Zod) {
  const { none, tap, bridge, macvtap, network } = netArms(z);
  return [none, tap, userArm(z), passtArm(z), bridge, macvtap, network] as const;
}

function netArms(z: Zod) {
  const interfaceName = z.string().regex(INTERFACE, 'the name of a network interface, such as tap0');
  const program = z.string().regex(/^\//, 'the full path of a program');
  return {
    none: z.strictObject({ type: z.literal('none') }),
    tap: z.strictObject({
      type: z.literal('tap'),
      ifname: interfaceName
        .optional()
        .describe('the TAP interface: it is used if it exists, else created (default: any name)'),
      br: interfaceName.optional().describe('a bridge that the interface is attached to'),
      script: program
        .optional()
        .describe('a program run with the name of the interface before its first use'),
      downscript: program.optional().describe('a program run with that name after the VM has ended'),
      queues: z
        .int()
        .min(1, 'at least 1 queue')
        .max(MAX_QUEUE_PAIRS, `at most ${MAX_QUEUE_PAIRS} queues`)
        .optional()
        .describe("pairs of queues (default: as many as the card's)"),
      fds: z
        .array(z.int().min(0))
        .min(1)
        .max(MAX_QUEUE_PAIRS)
        .optional()
        .describe(
          'open fds of the process that starts the VM, one for each pair of queues, in place of a name',
        ),
    }),
    bridge: z.strictObject({ type: z.literal('bridge'), bridge: interfaceName.describe('the bridge') }),
    macvtap: z.strictObject({
      type: z.literal('macvtap'),
      interface: interfaceName.describe('the interface of the host'),
      mode: z
        .enum(['bridge', 'vepa', 'private', 'passthru'])
        .default('bridge')
        .describe('which others on the same interface it reaches'),
    }),
    network: z.strictObject({
      type: z.literal('network'),
      name: z
        .string()
        .min(1, 'the name of a network')
        .max(63)
        .describe('the network, as `vring net list` shows it'),
    }),
  };
}

export type NetOptions = z.output<ReturnType<typeof netOptions>>;

/** The options of a network card that apply to its network. */
export const netFields = madeOnce((z: Zod) => ({
  network: netOptions(z).default({ type: 'none' }).describe('what it is connected to'),
  mac: z
    .string()
    .regex(/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/i, 'a MAC address, such as 52:54:00:12:34:56')
    .refine(mac => (Number.parseInt(mac, 16) & 1) === 0, 'a unicast address: its first byte is even')
    .refine(mac => !/^[0:]*$/.test(mac), 'an address other than zero')
    .optional()
    .describe("its address (default: derived from the device's name)"),
  link: z.boolean().default(true).describe('whether its cable is plugged in'),
  limits: netLimits(z)
    .optional()
    .describe('the most that the guest gets of it in each direction, all queues together'),
}));

/** What a device opens of its machine's networks: the network that was opened for it, by name. */
export type NetRequest = { readonly device: string; readonly network: NetOptions };

/** The frames that a card's guest has offered to accept, or announced that it sends (virtio 1.3 §5.1.3.1). */
export type NetOffloads = {
  /** Frames without a complete checksum. */
  readonly checksum: boolean;
  /** Frames larger than the MTU, for the receiver to segment. */
  readonly tso4: boolean;
  readonly tso6: boolean;
  readonly ecn: boolean;
  readonly ufo: boolean;
  readonly uso4: boolean;
  readonly uso6: boolean;
};

export const NO_OFFLOADS: NetOffloads = {
  checksum: false,
  tso4: false,
  tso6: false,
  ecn: false,
  ufo: false,
  uso4: false,
  uso6: false,
};

/** The frames that a card passes on to its guest. The others are dropped, and counted. */
export type ReceiveFilter = {
  /** All frames. */
  readonly promiscuous: boolean;
  /** All multicast frames; all unicast frames. */
  readonly allMulticast: boolean;
  readonly allUnicast: boolean;
  /** No multicast, unicast or broadcast frames. */
  readonly noMulticast: boolean;
  readonly noUnicast: boolean;
  readonly noBroadcast: boolean;
  /** Addresses, 6 bytes each, including the card's own. */
  readonly unicast: readonly Uint8Array[];
  readonly multicast: readonly Uint8Array[];
  /** The VLANs, 0 to 4095, whose tagged frames are passed on; null for all. */
  readonly vlans: readonly number[] | null;
};

/** Hash types of received frames (virtio 1.3 §5.1.6.4.3.1): over addresses, or over addresses and ports. */
export const RSS_HASH = { ipv4: 1, tcp4: 2, udp4: 4, ipv6: 8, tcp6: 16, udp6: 32 } as const;

/** All hash types. */
export const RSS_HASHES = Object.values(RSS_HASH).reduce((all, type) => all | type, 0);

/** The maximum number of entries of an indirection table, and of bytes of a key. */
export const MAX_RSS_TABLE = 128;
export const RSS_KEY_BYTES = 40;

/** How received frames are spread over the receive queues by their hashes (RSS, virtio 1.3 §5.1.6.5.7). */
export type ReceiveSideScaling = {
  /** Bits of `RSS_HASH`. */
  readonly hashTypes: number;
  /** The key of the Toeplitz hash. */
  readonly key: Uint8Array;
  /**
   * The indirection table: queue pairs, indexed by the low bits of a hash. Its length is a power of two, at most
   * `MAX_RSS_TABLE`.
   */
  readonly queues: readonly number[];
  /** The queue pair of frames without a hash. */
  readonly unclassified: number;
};

/** How a virtio-net queue is served. */
export type NetQueueOptions = {
  /** Negotiated features. */
  readonly features: bigint;
  /** The number of the queue pair. */
  readonly pair: number;
  /** The driver violated the ring protocol, or the thread died; called on the machine thread. */
  readonly onBroken: (reason: string) => void;
};

/** What carries the frames of a card: the host's kernel (vhost-net), or the machine's process. */
export type DataPath = {
  readonly kernel: boolean;
  /** Why the kernel does not, in a few words; null if there is nothing to say. */
  readonly why: string | null;
};

/** The host's end of a network card. */
export interface NetBackend {
  /** For facts on screens: `tap0`. */
  readonly label: string;
  /** The interface of the host; null if there is none. */
  readonly interface: string | null;
  /** The program that carries its frames, and how it is confined; null if there is none. */
  readonly program: string | null;
  /** The largest payload of its frames in bytes; null if unknown. */
  readonly mtu: number | null;
  /** Queue pairs that can be served at the same time. */
  readonly queuePairs: number;
  /**
   * The offloads that it takes from the guest's transmitted frames, and those that its received frames may leave to the
   * guest.
   */
  readonly takes: NetOffloads;
  readonly gives: NetOffloads;
  /**
   * Serves a receive queue (virtio 1.3 §5.1.6.3), or a transmit queue (§5.1.6.2), off the machine thread until stopped.
   */
  startReceive(queue: VirtioQueue, options: NetQueueOptions): RunningQueue;
  startTransmit(queue: VirtioQueue, options: NetQueueOptions): RunningQueue;
  /** The offloads of `gives` that the guest accepts. Applies immediately. */
  setOffloads(offloads: NetOffloads): void;
  /** The number of pairs that the guest uses. The others get no frames. */
  setPairs(count: number): void;
  /** Whether it can spread received frames as a driver configures (RSS). */
  readonly scales: boolean;
  /** Spreads received frames this way; null for the back end's own choice. */
  setScaling(scaling: ReceiveSideScaling | null): void;
  setFilter(filter: ReceiveFilter): void;
  /** Plugs the card's cable in or out: without a link, frames are dropped in both directions. */
  setLink(up: boolean): void;
  setLimits(limits: NetLimits): void;
  /** Whether the other end is connected. */
  readonly connected: boolean;
  /** Called on the machine thread when `connected` changes. */
  onConnected: ((connected: boolean) => void) | null;
  readonly dataPath: DataPath;
  /** Called on the machine thread when `dataPath` may have changed. */
  onDataPath: (() => void) | null;
  /** For a card whose model is in TypeScript. A back end has either queues or one port. */
  openPort(): FramePort;
  close(): void;
}

/**
 * A card's end of a network, frame by frame, on the machine thread: Ethernet frames without their check sequence (FCS).
 */
export interface FramePort {
  /**
   * Sends a frame, no later than the next `flush`. @returns false if the other end takes no more now: the frame is
   * dropped, and `onReady` is called when there is room
   */
  send(frame: Uint8Array): boolean;
  /** No frames follow for now. */
  flush(): void;
  /**
   * Receives a frame, which is valid only during the call. @returns false if the card has no room: the frame is kept,
   * and delivered again after `resume`
   */
  onFrame: ((frame: Uint8Array) => boolean) | null;
  onReady: (() => void) | null;
  /** The card has room again. */
  resume(): void;
  /** Stops receiving until `resume`, when the device is quiesced. */
  pause(): void;
  close(): void;
}
