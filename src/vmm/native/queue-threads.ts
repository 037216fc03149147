import type { ScsiQueueKind } from '../../devices/scsi/scsi-host.ts';
import type { BalloonQueueOptions } from '../../devices/virtio/balloon/page-discards.ts';
import type { BlockQueue } from '../../devices/virtio/block-backend.ts';
import { FEATURE } from '../../devices/virtio/features.ts';
import type { QueueCounters } from '../../devices/virtio/queue-counters.ts';
import type { QueueProgress, RunningQueue, VirtioQueue } from '../../devices/virtio/virtio-device.ts';
import type { NativeVm } from './native-vm.ts';
import { type NetQueue, startNetQueue } from './native-wire.ts';
import {
  abandonQueue,
  type BlkConfig,
  diskErrors,
  type NativeProgress,
  type QueueConfig,
  queueError,
  requestQueueStop,
  startBalloonQueue,
  startBlkQueue,
  startRngQueue,
  stopQueue,
} from './queues.ts';
import type { NativeScsi } from './scsi.ts';

/**
 * Address at which a thread finds memory that its queue's driver, on the machine thread, shares with it: beyond a CPU's
 * addresses, so that no guest has memory there.
 */
export const OWN_MEMORY = 2 ** 52;

/** Counters of a queue whose driver, on the machine thread, does the counting: its thread's counts are not read. */
export const NO_COUNTERS: QueueCounters = { slot: 0xffff_ffff, add: () => {}, release: () => {} };

/** Such memory, which stays mapped until the thread has ended. */
export type OwnQueueMemory = { readonly host: bigint; readonly size: number };

/** A queue thread's notifications to its machine. */
export type QueueThreadEvents = {
  readonly onBroken: (reason: string) => void;
  readonly onDiskErrors?: () => void;
};

/** The queue threads of a machine, and the callbacks for their events. */
export class QueueThreads {
  readonly #native: NativeVm;
  readonly #events = new Map<number, QueueThreadEvents>();
  /** Called once a queue that was asked to stop has ended. */
  readonly #onEnded = new Map<number, () => void>();

  constructor(native: NativeVm) {
    this.#native = native;
  }

  /**
   * Starts a thread that serves a virtio-blk queue with these negotiated features.
   * @param own memory shared by its driver and this thread alone, whose addresses begin at `OWN_MEMORY`. @throws
   * SystemError
   */
  startBlk(
    queue: VirtioQueue,
    features: bigint,
    blk: BlkConfig,
    events: QueueThreadEvents,
    own: OwnQueueMemory | null = null,
  ): BlockQueue {
    const config = configOf(queue, features, own);
    const handle = startBlkQueue(this.#native.handle, config, unfinishedBytes(queue.progress, features), blk);
    return {
      ...this.#running(handle, queue.size, features, events),
      diskErrors: endPeriod => diskErrors(this.#native.handle, handle, endPeriod),
    };
  }

  /** Same, for a virtio-rng queue; `limiter` is -1 for none. */
  startRng(queue: VirtioQueue, features: bigint, limiter: number, events: QueueThreadEvents): RunningQueue {
    const config = configOf(queue, features);
    const handle = startRngQueue(
      this.#native.handle,
      config,
      unfinishedBytes(queue.progress, features),
      limiter,
    );
    return this.#running(handle, queue.size, features, events);
  }

  /** Same, for a queue of a SCSI controller. */
  startScsi(
    scsi: NativeScsi,
    kind: ScsiQueueKind,
    queue: VirtioQueue,
    features: bigint,
    events: QueueThreadEvents,
  ): BlockQueue {
    const unfinished = unfinishedBytes(queue.progress, features);
    const handle = scsi.startQueue(kind, configOf(queue, features), unfinished);
    return {
      ...this.#running(handle, queue.size, features, events),
      diskErrors: endPeriod => diskErrors(this.#native.handle, handle, endPeriod),
    };
  }

  /** Same, for a queue of a network card. @param own as in `startBlk` */
  startNet(
    queue: VirtioQueue,
    features: bigint,
    net: NetQueue,
    events: QueueThreadEvents,
    own: OwnQueueMemory | null = null,
  ): RunningQueue {
    const config = configOf(queue, features, own);
    const unfinished = unfinishedBytes(queue.progress, features);
    const handle = startNetQueue(this.#native.handle, config, unfinished, net);
    return this.#running(handle, queue.size, features, events);
  }

  /** Same, for a virtio-balloon queue. */
  startBalloon(
    queue: VirtioQueue,
    features: bigint,
    role: BalloonQueueOptions['role'],
    events: QueueThreadEvents,
  ): RunningQueue {
    const config = configOf(queue, features);
    const handle = startBalloonQueue(
      this.#native.handle,
      config,
      unfinishedBytes(queue.progress, features),
      role,
    );
    return this.#running(handle, queue.size, features, events);
  }

  #running(handle: number, size: number, features: bigint, events: QueueThreadEvents): RunningQueue {
    const native = this.#native;
    this.#events.set(handle, events);
    return {
      requestStop: onEnded => {
        if (onEnded !== undefined) this.#onEnded.set(handle, onEnded);
        requestQueueStop(native.handle, handle);
      },
      stop: limitMs => {
        const progress = stopQueue(native.handle, handle, size, limitMs);
        if (progress === null) return null;
        this.#forget(handle);
        return progressOf(progress, features);
      },
      abandon: () => {
        this.#forget(handle);
        const progress = abandonQueue(native.handle, handle, size);
        return progress && progressOf(progress, features);
      },
    };
  }

  /** The reactor reports that the queue with this handle is no longer served. */
  broken(handle: number): void {
    this.#events.get(handle)?.onBroken(queueError(this.#native.handle, handle));
  }

  /** The reactor reports that the queue with this handle has new kinds of disk errors. */
  diskErrors(handle: number): void {
    this.#events.get(handle)?.onDiskErrors?.();
  }

  /** The reactor reports that the thread of the queue with this handle, which was asked to stop, has ended. */
  ended(handle: number): void {
    const onEnded = this.#onEnded.get(handle);
    this.#onEnded.delete(handle);
    onEnded?.();
  }

  #forget(handle: number): void {
    this.#events.delete(handle);
    this.#onEnded.delete(handle);
  }
}

function configOf(queue: VirtioQueue, features: bigint, own: OwnQueueMemory | null = null): QueueConfig {
  return {
    descriptors: BigInt(queue.descriptors),
    available: BigInt(queue.available),
    used: BigInt(queue.used),
    features,
    kickFd: queue.kickFd,
    callFd: queue.callFd,
    size: queue.size,
    counterSlot: queue.counters.slot,
    lastAvail: queue.progress.lastAvail,
    usedIndex: queue.progress.usedIndex,
    reserved: 0,
    ownGpa: own === null ? 0n : BigInt(OWN_MEMORY),
    ownSize: BigInt(own?.size ?? 0),
    ownHost: own?.host ?? 0n,
  };
}

function isPacked(features: bigint): boolean {
  return (features & FEATURE.ringPacked) !== 0n;
}

function unfinishedBytes(progress: QueueProgress, features: bigint): Uint8Array {
  if (isPacked(features)) return progress.unfinishedDescriptors ?? new Uint8Array();
  return new Uint8Array(Uint16Array.from(progress.unfinished ?? []).buffer);
}

function progressOf({ lastAvail, usedIndex, unfinished }: NativeProgress, features: bigint): QueueProgress {
  const position = { lastAvail, usedIndex };
  if (unfinished.length === 0) return position;
  if (isPacked(features)) return { ...position, unfinishedDescriptors: unfinished };
  return { ...position, unfinished: [...new Uint16Array(unfinished.buffer)] };
}
