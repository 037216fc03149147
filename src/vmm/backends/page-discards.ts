import type { Cancel } from '../../devices/device.ts';
import type { BalloonQueueOptions, PageDiscards } from '../../devices/virtio/balloon/page-discards.ts';
import type { RunningQueue, VirtioQueue } from '../../devices/virtio/virtio-device.ts';
import { codeText } from '../../text/errno.ts';
import type { GuestRam } from '../memory/guest-ram.ts';
import { loadBalloon, saveBalloon } from '../native/balloon-state.ts';
import { SystemError } from '../native/libc.ts';
import type { NativeVm } from '../native/native-vm.ts';
import { allowDiscards } from '../native/queue-regions.ts';
import type { QueueThreads } from '../native/queue-threads.ts';

type Parts = {
  readonly ram: GuestRam;
  readonly native: NativeVm;
  readonly queues: QueueThreads;
};

/** Native threads return pages of the machine's RAM to the host, unless host devices access them. */
export class RamDiscards implements PageDiscards {
  readonly #ram: GuestRam;
  readonly #native: NativeVm;
  readonly #queues: QueueThreads;
  readonly #hooks = new Set<() => void>();

  constructor({ ram, native, queues }: Parts) {
    this.#ram = ram;
    this.#native = native;
    this.#queues = queues;
    ram.onPinned = pinned => {
      // None is in progress when this returns: what the devices access from now on stays in place.
      allowDiscards(native.handle, !pinned);
      for (const hook of this.#hooks) hook();
    };
  }

  get obstacle(): string | null {
    if (this.#ram.pinned) return 'stays where it is, because devices of the host reach it';
    if (this.#ram.blocks.every(({ discard }) => discard === undefined)) {
      return 'has huge pages, which stay reserved for it';
    }
    return null;
  }

  get leavesZeros(): boolean {
    return this.#ram.below === null;
  }

  onChanged(hook: () => void): Cancel {
    this.#hooks.add(hook);
    return () => this.#hooks.delete(hook);
  }

  saveWaiting(): Uint8Array {
    return saveBalloon(this.#native.handle);
  }

  loadWaiting(saved: Uint8Array): boolean {
    return loadBalloon(this.#native.handle, saved);
  }

  startQueue(queue: VirtioQueue, { features, role, onBroken }: BalloonQueueOptions): RunningQueue {
    try {
      return this.#queues.startBalloon(queue, features, role, { onBroken });
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      throw new Error(`the thread for the balloon cannot be started: ${codeText(error.code)}`);
    }
  }
}
