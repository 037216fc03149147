/** The card for which a wire is opened. */
export type WireUser = {
  readonly vm: string;
  /** The network card. */
  readonly device: string;
  /** Its address, `52:54:00:12:34:56`; null if it has none yet. */
  readonly mac: string | null;
  /** Queue pairs that it would use. */
  readonly queuePairs: number;
  /** It takes frames with a virtio_net_hdr in front. */
  readonly header: boolean;
  /** The host's kernel should carry the frames if it can (vhost-net). */
  readonly vhost: boolean;
  /** A program of the network must be confined by every available layer. */
  readonly strictly: boolean;
};
