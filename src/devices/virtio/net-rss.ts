import { MAX_RSS_TABLE, type ReceiveSideScaling, RSS_HASHES, RSS_KEY_BYTES } from '../backends/net.ts';
import type { DeviceState } from '../device.ts';
import { bytesOf, DeviceStateError, numberOf } from '../state.ts';

/** Fields of struct virtio_net_rss_config before its table (virtio 1.3 §5.1.6.5.7), and after it, before the key. */
const HEAD = { hashTypes: 0, mask: 4, unclassified: 6, bytes: 8 } as const;
const TAIL = { transmitQueues: 0, keyBytes: 2, bytes: 3 } as const;

export type WantedScaling = {
  readonly scaling: ReceiveSideScaling;
  /** The number of queue pairs that the driver then uses, the larger of those for transmitting and receiving. */
  readonly pairs: number;
};

/**
 * Parses a driver's struct virtio_net_rss_config; null if it is invalid. Whether the queues exist is up to the device
 * to check.
 */
export function rssOf(data: Uint8Array): WantedScaling | null {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  if (data.length < HEAD.bytes) return null;
  const hashTypes = view.getUint32(HEAD.hashTypes, true);
  const entries = view.getUint16(HEAD.mask, true) + 1;
  const unclassified = view.getUint16(HEAD.unclassified, true);
  if (!isTable(entries) || (hashTypes & ~RSS_HASHES) !== 0) return null;
  const tail = HEAD.bytes + 2 * entries;
  if (data.length < tail + TAIL.bytes) return null;
  const queues = Array.from({ length: entries }, (_, entry) => view.getUint16(HEAD.bytes + 2 * entry, true));
  const transmitQueues = view.getUint16(tail + TAIL.transmitQueues, true);
  const keyBytes = data[tail + TAIL.keyBytes]!;
  const keyAt = tail + TAIL.bytes;
  // Linux's driver sends its structure with the padding at its end.
  const key = data.slice(keyAt, keyAt + keyBytes);
  if (key.length < keyBytes || keyBytes > RSS_KEY_BYTES || transmitQueues < 1) return null;
  const scaling = { hashTypes, key, queues, unclassified };
  return { scaling, pairs: Math.max(transmitQueues, lastQueue(scaling) + 1) };
}

/** The last queue pair that receives frames. */
function lastQueue({ queues, unclassified }: ReceiveSideScaling): number {
  return Math.max(unclassified, ...queues);
}

function isTable(entries: number): boolean {
  return entries <= MAX_RSS_TABLE && (entries & (entries - 1)) === 0;
}

export function saveScaling({ hashTypes, key, queues, unclassified }: ReceiveSideScaling): DeviceState {
  return { hashTypes, key, queues: Uint8Array.from(queues), unclassified };
}

/** @param pairs in use. @throws DeviceStateError */
export function scalingOf(state: DeviceState, pairs: number): ReceiveSideScaling {
  const hashTypes = numberOf(state, 'hashTypes', RSS_HASHES);
  const unclassified = numberOf(state, 'unclassified', pairs - 1);
  const key = bytesOf(state, 'key');
  const queues = [...bytesOf(state, 'queues')];
  if (key.length > RSS_KEY_BYTES) throw new DeviceStateError('key', 'key of a hash');
  if (!isTable(queues.length) || queues.length === 0 || queues.some(queue => queue >= pairs))
    throw new DeviceStateError('queues', 'table of queues');
  return { hashTypes, key, queues, unclassified };
}
