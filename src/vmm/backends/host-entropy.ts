import type {
  EntropyLimit,
  EntropyQueueOptions,
  EntropySource,
} from '../../devices/virtio/entropy-source.ts';
import type { RunningQueue, VirtioQueue } from '../../devices/virtio/virtio-device.ts';
import { codeText } from '../../text/errno.ts';
import { SystemError } from '../native/libc.ts';
import { createLimiter, destroyLimiter, type RateLimits } from '../native/limiters.ts';
import type { NativeVm } from '../native/native-vm.ts';
import type { QueueThreads } from '../native/queue-threads.ts';

/** The host's generator (getrandom(2)), by native threads. */
export class HostEntropy implements EntropySource {
  readonly #native: NativeVm;
  readonly #queues: QueueThreads;

  constructor(native: NativeVm, queues: QueueThreads) {
    this.#native = native;
    this.#queues = queues;
  }

  startQueue(queue: VirtioQueue, { features, limit, onBroken }: EntropyQueueOptions): RunningQueue {
    const limiter = limit === null ? null : createLimiter(this.#native.handle, rateOf(limit));
    try {
      return this.#queues.startRng(queue, features, limiter ?? -1, { onBroken });
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      throw new Error(`the thread for random bytes cannot be started: ${codeText(error.code)}`);
    } finally {
      // The queue holds its own reference.
      if (limiter !== null) destroyLimiter(this.#native.handle, limiter);
    }
  }
}

/** A whole period's bytes may come in one burst. */
function rateOf({ bytes, periodMs }: EntropyLimit): RateLimits {
  const perSecond = Math.max(1, Math.round((bytes * 1000) / periodMs));
  return { operations: 0, operationsBurst: 0, bytes: perSecond, bytesBurst: bytes };
}
