import type { Cancel, Clock } from '../../device.ts';
import { ModelQueue, type ModelQueueServices } from '../model-queue.ts';
import type { Chain } from '../ring/chain.ts';
import type { RunningQueue, VirtioDriver, VirtioQueue } from '../virtio-device.ts';
import { BALLOON_STATS, type BalloonStat, type BalloonStats } from './facts.ts';

/** {le16 tag, le64 value}, packed (virtio 1.3 §5.5.6.3). */
const ENTRY_BYTES = 10;
/** More than there are tags, since a driver may send some twice. */
const MAX_ENTRIES = 64;

export type StatsQueueOptions = {
  readonly clock: Clock;
  /** The interval at which the guest is polled; 0 for never. */
  readonly intervalMs: number;
  readonly onStats: (stats: BalloonStats) => void;
};

/**
 * Serves a balloon's statistics queue (§5.5.6.3): the driver provides a buffer with statistics, which the device keeps
 * until it wants an update.
 */
export function startStatsQueue(
  queue: VirtioQueue,
  driver: VirtioDriver,
  services: ModelQueueServices,
  { clock, intervalMs, onStats }: StatsQueueOptions,
): RunningQueue {
  let kept: Chain | null = null;
  let cancel: Cancel = () => {};
  const ask = () => {
    cancel = clock.at(clock.now() + BigInt(intervalMs) * 1_000_000n, ask);
    if (kept === null) return;
    const chain = kept;
    kept = null;
    model.giveBack(chain, 0);
    model.publish();
  };
  const model = new ModelQueue(queue, driver, services, model => {
    for (let chain = model.take(); chain !== null; chain = model.take()) {
      // If the driver sends another buffer without waiting, the earlier one is returned.
      if (kept !== null) model.giveBack(kept, 0);
      kept = chain;
      onStats(parseStats(model.read(chain, 0, ENTRY_BYTES * MAX_ENTRIES), clock.wallMs()));
    }
  });
  if (intervalMs > 0) cancel = clock.at(clock.now() + BigInt(intervalMs) * 1_000_000n, ask);
  const stop = () => {
    cancel();
    return model.stop();
  };
  return { requestStop: stop, stop, abandon: stop };
}

/** Skips statistics with unknown tags, and a truncated entry. @param at milliseconds since 1970 */
export function parseStats(bytes: Uint8Array, at: number): BalloonStats {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const stats: { [Stat in BalloonStat]?: number } = {};
  for (let offset = 0; offset + ENTRY_BYTES <= bytes.length; offset += ENTRY_BYTES) {
    const stat = BALLOON_STATS[view.getUint16(offset, true)];
    const value = view.getBigUint64(offset + 2, true);
    // A guest reports an unknown value as -1.
    if (stat !== undefined && value <= BigInt(Number.MAX_SAFE_INTEGER)) stats[stat] = Number(value);
  }
  return { at, ...stats };
}
