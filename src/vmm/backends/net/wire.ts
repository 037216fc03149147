/** An open connection to a network, as each type of network back end gives it. */
export type Wire = {
  /** One fd for each queue pair; a read gives one frame, a write sends one. Non-blocking. Owned by the machine from here on. */
  readonly fds: readonly number[];
  /**
   * `virtio`: each frame has a 12-byte virtio_net_hdr in front (a tap with IFF_VNET_HDR, whose TUNSETOFFLOAD may be set). `none`: bare
   * frames (AF_UNIX SOCK_SEQPACKET, or a tap without it).
   */
  readonly header: 'virtio' | 'none';
  /** Bytes of payload that its frames may have, if known. */
  readonly mtu?: number | undefined;
  /** For facts on screens: `tap0`, `br0 (tap vnet3)`, `user`. */
  readonly label: string;
  /** The interface on the host, whose counters and link the host knows; absent for none. */
  readonly interface?: string | undefined;
};

/** A wire without its fds: what a message says of one whose fds come with it, in the order of `wireFds`. */
export type WireFacts = Omit<Wire, 'fds'> & {
  /** How many there are. */
  readonly fds: number;
};

/** The most fds that a wire may have. */
export const MAX_WIRE_FDS = 256;

/** All fds of a wire. */
export function wireFds({ fds }: Wire): readonly number[] {
  return fds;
}

export function wireFacts({ fds, ...facts }: Wire): WireFacts {
  return { ...facts, fds: fds.length };
}

/** How many fds come with it. */
export function wireFdCount({ fds }: WireFacts): number {
  return fds;
}

/** The wire of these facts. @param fds as many as `wireFdCount` says */
export function wireOf({ fds: _, ...facts }: WireFacts, fds: readonly number[]): Wire {
  return { ...facts, fds };
}
