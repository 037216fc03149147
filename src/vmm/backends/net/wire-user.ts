/** For whom a wire is opened. */
export type WireUser = {
  readonly vm: string;
  /** The network card. */
  readonly device: string;
  /** Its address, `52:54:00:12:34:56`; null: it has not been given one. */
  readonly mac: string | null;
  /** Pairs of queues that it would use. */
  readonly queuePairs: number;
  /** It takes frames with a virtio_net_hdr in front. */
  readonly header: boolean;
  /** The host's kernel is to carry the frames where it can (vhost-net). */
  readonly vhost: boolean;
  /** What of the network is a program must be confined by every layer there is. */
  readonly strictly: boolean;
};
