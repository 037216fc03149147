import type { SteeringFds } from './steering/tap-steering.ts';

/** The kind of the first fd of a character back end. `none`: there is only the log. */
export const CHAR_FILES = ['none', 'pty', 'listener', 'stream', 'file'] as const;

/** What a character back end has open: its fds, followed by its log's. */
export type CharFacts = { readonly file: (typeof CHAR_FILES)[number]; readonly log: boolean };

/** An open connection to a network, as each type of network back end returns it. */
export type Wire = {
  /** One fd per queue pair; a read returns one frame, a write sends one. Non-blocking. The machine takes them over. */
  readonly fds: readonly number[];
  /**
   * `virtio`: each frame has a 12-byte virtio_net_hdr in front (a tap with IFF_VNET_HDR, whose TUNSETOFFLOAD may be
   * set). `none`: bare frames (AF_UNIX SOCK_SEQPACKET, or a tap without it).
   */
  readonly header: 'virtio' | 'none';
  /** Bytes of payload that its frames may have, if known. */
  readonly mtu?: number | undefined;
  /**
   * Memory through which the file's frames go (native/src/frame_ring.rs), and the eventfd that signals room in it; the
   * file is then only for wake-ups. Default: frames go through the file.
   */
  readonly shared?: SharedFrames | undefined;
  /** For facts on screens: `tap0`, `br0 (tap vnet3)`, `user`. */
  readonly label: string;
  /** The program that carries its frames, and its confinement, for facts; default: none. */
  readonly program?: string | undefined;
  /** The interface on the host, for its counters and link; default: none. */
  readonly interface?: string | undefined;
  /**
   * The kernel can carry its frames: /dev/vhost-net, once for each queue pair, and the counters of the interface
   * (interface-traffic.ts).
   */
  readonly vhost?: { readonly devices: readonly number[]; readonly counters: readonly number[] } | undefined;
  /** For an interface: why the kernel cannot do that, in a few words. */
  readonly withoutVhost?: string | undefined;
  /** For a TAP interface with several queues: a program that spreads frames over them, and the table that it reads. */
  readonly steering?: SteeringFds | undefined;
  /** The machine's hub at the other end, with the ports that come with this card, its own first. */
  readonly hub?: WireHub<HubPort & { readonly fd: number }> | undefined;
  /** This is not a network but the connection of a character device. */
  readonly char?: CharFacts | undefined;
};

export type SharedFrames = { readonly memory: number; readonly room: number };

export type HubPort = { readonly label: string };
export type WireHub<Port extends HubPort> = { readonly number: number; readonly ports: readonly Port[] };

/** A wire without its fds: what a message contains for a wire whose fds come with it, in the order of `wireFds`. */
export type WireFacts = Omit<Wire, 'fds' | 'vhost' | 'steering' | 'hub' | 'shared'> & {
  /** Number of fds. */
  readonly fds: number;
  readonly vhost?: { readonly devices: number; readonly counters: number } | undefined;
  readonly steering?: boolean | undefined;
  readonly hub?: WireHub<HubPort> | undefined;
  readonly shared?: boolean | undefined;
};

/** The most fds that a wire may have. */
export const MAX_WIRE_FDS = 256;

/** All fds of a wire. */
export function wireFds({ fds, vhost, steering, hub, shared }: Wire): readonly number[] {
  return [
    ...fds,
    ...(vhost?.devices ?? []),
    ...(vhost?.counters ?? []),
    ...(steering ? [steering.program, steering.table] : []),
    ...(hub?.ports ?? []).map(({ fd }) => fd),
    ...(shared === undefined ? [] : [shared.memory, shared.room]),
  ];
}

export function wireFacts({ fds, vhost, steering, hub, shared, ...facts }: Wire): WireFacts {
  return {
    ...facts,
    fds: fds.length,
    ...(vhost && { vhost: { devices: vhost.devices.length, counters: vhost.counters.length } }),
    ...(steering && { steering: true }),
    ...(hub && { hub: { number: hub.number, ports: hub.ports.map(({ label }) => ({ label })) } }),
    ...(shared && { shared: true }),
  };
}

/** Number of fds that come with it. */
export function wireFdCount({ fds, vhost, steering, hub, shared }: WireFacts): number {
  const ofVhost = (vhost?.devices ?? 0) + (vhost?.counters ?? 0);
  return fds + ofVhost + (steering ? 2 : 0) + (hub?.ports.length ?? 0) + (shared ? 2 : 0);
}

/** The wire with these facts. @param fds as many as `wireFdCount` returns */
export function wireOf(
  { fds: count, vhost, steering, hub, shared, ...facts }: WireFacts,
  fds: readonly number[],
): Wire {
  const left = [...fds];
  const next = (length: number) => left.splice(0, length);
  return {
    ...facts,
    fds: next(count),
    ...(vhost && { vhost: { devices: next(vhost.devices), counters: next(vhost.counters) } }),
    ...(steering && { steering: { program: next(1)[0]!, table: next(1)[0]! } }),
    ...(hub && {
      hub: { number: hub.number, ports: hub.ports.map(port => ({ ...port, fd: next(1)[0]! })) },
    }),
    ...(shared && { shared: { memory: next(1)[0]!, room: next(1)[0]! } }),
  };
}
