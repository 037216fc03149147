import { constants } from 'node:os';
import type { DiskErrors } from '../../devices/backends/disk.ts';
import type { BalloonQueueOptions } from '../../devices/virtio/balloon/page-discards.ts';
import type { StructValue } from '../kvm/c-struct.ts';
import {
  BALLOON_ROLE,
  balloonConfigStruct,
  blkConfigStruct,
  DISK_ACCESS,
  diskErrorsStruct,
  queueConfigStruct,
  queueProgressStruct,
  rngConfigStruct,
} from './abi.ts';
import { checked, nativeCalls } from './native-library.ts';
import { readText } from './native-text.ts';

/** A virtqueue to serve. */
export type QueueConfig = StructValue<typeof queueConfigStruct.fields>;

/**
 * The position at which a queue continues: its chains that were taken and not returned are bytes, as
 * `queueProgressStruct` describes them.
 */
export type NativeProgress = {
  readonly lastAvail: number;
  readonly usedIndex: number;
  readonly unfinished: Uint8Array;
};

/** The backend of a virtio-blk queue. */
export type BlkConfig = StructValue<typeof blkConfigStruct.fields>;

const DISK_ACCESSES = new Map<number, DiskErrors['access']>([
  [DISK_ACCESS.read, 'read'],
  [DISK_ACCESS.write, 'write'],
  [DISK_ACCESS.flush, 'flush'],
  [DISK_ACCESS.discard, 'discard'],
  [DISK_ACCESS.writeZeroes, 'write-zeroes'],
]);

const MAX_DISK_ERRORS = 32;
const MAX_STUCK = 64;

/**
 * Starts a thread that serves a virtio-blk queue, `unfinished` chains first.
 * @param vm handle of the native VM, here as below. @returns its handle, as in `queueBroken` events.
 */
export function startBlkQueue(
  vm: number,
  queue: QueueConfig,
  unfinished: Uint8Array,
  blk: BlkConfig,
): number {
  const config = queueConfigStruct.encode(queue);
  const bytes = blkConfigStruct.encode(blk);
  return checked(
    'vring_blk_queue_start',
    nativeCalls().vring_blk_queue_start(vm, config, unfinished, unfinished.length, bytes),
  );
}

/** Same, for a virtio-rng queue; `limiter` is -1 for none. */
export function startRngQueue(
  vm: number,
  queue: QueueConfig,
  unfinished: Uint8Array,
  limiter: number,
): number {
  const config = queueConfigStruct.encode(queue);
  const bytes = rngConfigStruct.encode({ limiter });
  return checked(
    'vring_rng_queue_start',
    nativeCalls().vring_rng_queue_start(vm, config, unfinished, unfinished.length, bytes),
  );
}

/** Same, for a virtio-balloon queue. */
export function startBalloonQueue(
  vm: number,
  queue: QueueConfig,
  unfinished: Uint8Array,
  role: BalloonQueueOptions['role'],
): number {
  const config = queueConfigStruct.encode(queue);
  const bytes = balloonConfigStruct.encode({ role: BALLOON_ROLE[role] });
  return checked(
    'vring_balloon_queue_start',
    nativeCalls().vring_balloon_queue_start(vm, config, unfinished, unfinished.length, bytes),
  );
}

/** Asks the thread to end, without waiting. A `queueEnded` event follows. */
export function requestQueueStop(vm: number, queue: number): void {
  checked('vring_queue_request_stop', nativeCalls().vring_queue_request_stop(vm, queue));
}

/** Asks all queue threads to end, so that stopping them one by one takes no longer than stopping one. */
export function requestStopOfAllQueues(vm: number): void {
  requestQueueStop(vm, -1);
}

/**
 * Asks the thread to end, between two steps of its requests, waits at most `limitMs` for that, and frees the handle.
 * @returns its position in a ring of `size` entries; null if it has not ended: it still uses the ring, and the handle
 * stays valid
 */
export function stopQueue(vm: number, queue: number, size: number, limitMs: number): NativeProgress | null {
  const limit = BigInt(Math.round(limitMs * 1e6));
  const progress = new Uint8Array(queueProgressStruct.size);
  const unfinished = roomForUnfinished(size);
  const result = nativeCalls().vring_queue_stop(vm, queue, limit, progress, unfinished, unfinished.length);
  if (result === -constants.errno.EAGAIN) return null;
  checked('vring_queue_stop', result);
  return progressOf(progress, unfinished);
}

/**
 * Leaves a thread behind that does not end, because it is stuck in a disk request, and frees the handle. The kernel
 * may still write to the guest's memory, and its counter slot is taken, until the request has ended.
 * @returns null; its position in the ring if it has ended after all
 */
export function abandonQueue(vm: number, queue: number, size: number): NativeProgress | null {
  const progress = new Uint8Array(queueProgressStruct.size);
  const unfinished = roomForUnfinished(size);
  const { length } = unfinished;
  const result = nativeCalls().vring_queue_abandon(vm, queue, progress, unfinished, length);
  return checked('vring_queue_abandon', result) === 0 ? progressOf(progress, unfinished) : null;
}

/**
 * The kinds of disk errors that a queue has not reported yet; with `endPeriod`, those that have recurred since they
 * were reported, and the others are forgotten.
 */
export function diskErrors(vm: number, queue: number, endPeriod: boolean): DiskErrors[] {
  const { size } = diskErrorsStruct;
  const bytes = new Uint8Array(MAX_DISK_ERRORS * size);
  const count = checked(
    'vring_queue_disk_errors',
    nativeCalls().vring_queue_disk_errors(vm, queue, Number(endPeriod), bytes, MAX_DISK_ERRORS),
  );
  return Array.from({ length: count }, (_, index) => {
    const { sector, count, access, errno, disk } = diskErrorsStruct.read(bytes, index * size);
    return {
      access: DISK_ACCESSES.get(access)!,
      errno,
      sector: Number(sector),
      count: Number(count),
      disk,
    };
  });
}

/** Why a queue is no longer served, in words. */
export function queueError(vm: number, queue: number): string {
  return readText('vring_queue_error', (text, length) =>
    nativeCalls().vring_queue_error(vm, queue, text, length),
  );
}

/** Counter slots of the queues that were left behind when they were stopped, stuck in a disk request. */
export function stuckQueues(vm: number): number[] {
  const slots = new Uint32Array(MAX_STUCK);
  const count = nativeCalls().vring_vm_stuck(vm, slots, slots.length);
  return [...slots.subarray(0, Math.max(0, count))];
}

/** Sized for the descriptors of a whole packed ring. */
function roomForUnfinished(size: number): Uint8Array {
  return new Uint8Array(16 * size);
}

function progressOf(progress: Uint8Array, unfinished: Uint8Array): NativeProgress {
  const { lastAvail, usedIndex, unfinishedBytes } = queueProgressStruct.read(progress);
  return { lastAvail, usedIndex, unfinished: unfinished.slice(0, unfinishedBytes) };
}
