import { FEATURE } from '../../devices/virtio/features.ts';
import { NET_FEATURE } from '../../devices/virtio/net-features.ts';
import type { QueueProgress, RunningQueue, VirtioQueue } from '../../devices/virtio/virtio-device.ts';
import { SystemError, signalEventfd } from '../native/libc.ts';
import {
  VHOST_F_LOG_ALL,
  VHOST_VRING_F_LOG,
  vhostVringAddr,
  vhostVringFile,
  vhostVringState,
} from './ioctls.ts';
import type { VhostFile } from './vhost-file.ts';
import type { MemoryUser, VhostMemory } from './vhost-memory.ts';

/** The driver's features that matter to the kernel, which reads and writes the rings and the header of each frame. */
const FOR_KERNEL =
  FEATURE.version1 |
  FEATURE.ringIndirectDesc |
  FEATURE.ringEventIdx |
  FEATURE.ringPacked |
  NET_FEATURE.mergeableBuffers;

const LOG_ALL = 1n << BigInt(VHOST_F_LOG_ALL);
const NO_FD = -1;

/** Numbers of the vrings of a device. */
export const VRING = { receive: 0, transmit: 1 } as const;

/** Why the kernel cannot serve a queue. */
export class VhostError extends Error {
  override readonly name = 'VhostError';
}

export type VhostNetEvents = {
  /** The kernel has stopped because of the driver's behavior. Signaled as an eventfd. */
  readonly errorFd: number;
  /** The kernel refuses the present memory: its queues have stopped, and must be served in another way. */
  readonly onRefused: (reason: string) => void;
};

type Served = { readonly queue: VirtioQueue; progress: QueueProgress | null };

/**
 * A pair of queues of a network card that the kernel serves (drivers/vhost/net.c). The kernel carries frames between
 * the rings and the interface, without this process.
 *
 * While one of the queues runs, it has an owner, the process whose memory the kernel accesses; otherwise it has none,
 * so that another process can continue with it.
 */
export class VhostNet implements MemoryUser {
  /** What the kernel offers. */
  readonly offered: bigint;
  readonly #file: VhostFile;
  readonly #memory: VhostMemory;
  readonly #events: VhostNetEvents;
  /** By vring. */
  readonly #running = new Map<number, Served>();
  #features = 0n;

  /** @throws SystemError if it is not a vhost device */
  constructor(file: VhostFile, memory: VhostMemory, events: VhostNetEvents) {
    const features = new BigUint64Array(1);
    file.call('VHOST_GET_FEATURES', bytesOf(features));
    this.offered = features[0]!;
    this.#file = file;
    this.#memory = memory;
    this.#events = events;
  }

  /** Why it cannot serve a driver with these features, in a few words; null if it can. */
  missing(features: bigint): string | null {
    const missing = features & FOR_KERNEL & ~this.offered;
    if ((missing & FEATURE.ringPacked) !== 0n) return "the kernel's vhost-net has no packed virtqueues";
    return missing === 0n
      ? null
      : `the kernel's vhost-net lacks features 0x${missing.toString(16)} that the driver uses`;
  }

  /**
   * Lets the kernel serve a queue from its present position. No chain may be unfinished.
   * @param tapFd the interface. @throws VhostError, with the queue unchanged
   */
  start(vring: number, queue: VirtioQueue, features: bigint, tapFd: number): RunningQueue {
    const served: Served = { queue, progress: null };
    try {
      if (this.#running.size === 0) this.#begin(features);
      this.#running.set(vring, served);
      this.#setUp(vring, queue);
      this.#fileOf('VHOST_NET_SET_BACKEND', vring, tapFd);
      // For what the driver has already put into it.
      signalEventfd(queue.kickFd);
    } catch (error) {
      this.#running.delete(vring);
      this.#detach(vring);
      if (this.#running.size === 0) this.#end();
      if (error instanceof SystemError)
        throw new VhostError(`the kernel's vhost-net refuses it: ${error.message}`);
      throw error;
    }
    const stop = () => this.#stop(vring, served);
    // It stops immediately.
    return { requestStop: () => void stop(), stop, abandon: stop };
  }

  memoryChanged(): void {
    try {
      // Before the table, which requires a log that is large enough.
      this.#setLog();
      this.#file.call('VHOST_SET_MEM_TABLE', this.#memory.table);
      // The addresses at which the used rings are logged.
      for (const [vring, { queue }] of this.#running) this.#setAddresses(vring, queue);
    } catch (error) {
      // Memory that has left the map must no longer be written.
      for (const [vring, served] of [...this.#running]) this.#stop(vring, served);
      this.#events.onRefused(
        `the kernel's vhost-net does not take the memory of the VM: ${(error as Error).message}`,
      );
    }
  }

  #begin(features: bigint): void {
    this.#features = features & FOR_KERNEL;
    this.#file.call('VHOST_SET_OWNER');
    this.#memory.attach(this);
    this.#setLog();
    this.#file.call('VHOST_SET_MEM_TABLE', this.#memory.table);
  }

  /** Releases the memory, and all settings. */
  #end(): void {
    this.#memory.detach(this);
    this.#try(() => this.#file.call('VHOST_RESET_OWNER'));
  }

  #setLog(): void {
    const { logAddress } = this.#memory;
    if (logAddress !== null) this.#file.call('VHOST_SET_LOG_BASE', bytesOf(BigUint64Array.of(logAddress)));
    const features = this.#features | (logAddress === null ? 0n : LOG_ALL);
    this.#file.call('VHOST_SET_FEATURES', bytesOf(BigUint64Array.of(features)));
  }

  #setUp(vring: number, queue: VirtioQueue): void {
    const { size, kickFd, callFd, progress } = queue;
    this.#state('VHOST_SET_VRING_NUM', vring, size);
    this.#state('VHOST_SET_VRING_BASE', vring, this.#isPacked ? packedBase(progress) : progress.lastAvail);
    this.#setAddresses(vring, queue);
    this.#fileOf('VHOST_SET_VRING_ERR', vring, this.#events.errorFd);
    this.#fileOf('VHOST_SET_VRING_CALL', vring, callFd);
    this.#fileOf('VHOST_SET_VRING_KICK', vring, kickFd);
  }

  #setAddresses(vring: number, queue: VirtioQueue): void {
    const { size, descriptors, available, used } = queue;
    const at = (address: number, length: number) => {
      const host = this.#memory.hostAddress(address, length);
      if (host === null)
        throw new VhostError(`a queue at 0x${address.toString(16)} is not in one piece of RAM`);
      return host;
    };
    const packed = this.#isPacked;
    const addresses = new Uint8Array(vhostVringAddr.size);
    vhostVringAddr.write(addresses, {
      index: vring,
      flags: this.#memory.logAddress === null ? 0 : 1 << VHOST_VRING_F_LOG,
      desc_user_addr: at(descriptors, 16 * size),
      avail_user_addr: at(available, packed ? 4 : 6 + 2 * size),
      used_user_addr: at(used, packed ? 4 : 6 + 8 * size),
      log_guest_addr: BigInt(used),
    });
    this.#file.call('VHOST_SET_VRING_ADDR', addresses);
  }

  /** When this returns, the kernel has returned all buffers that it took. */
  #stop(vring: number, served: Served): QueueProgress {
    if (served.progress !== null) return served.progress;
    this.#try(() => this.#fileOf('VHOST_NET_SET_BACKEND', vring, NO_FD));
    served.progress = this.#base(vring) ?? served.queue.progress;
    this.#running.delete(vring);
    this.#detach(vring);
    if (this.#running.size === 0) this.#end();
    return served.progress;
  }

  /** Detaches the eventfds of a stopped queue from the kernel. */
  #detach(vring: number): void {
    for (const name of ['VHOST_SET_VRING_KICK', 'VHOST_SET_VRING_CALL'] as const)
      this.#try(() => this.#fileOf(name, vring, NO_FD));
  }

  #base(vring: number): QueueProgress | null {
    const state = new Uint8Array(vhostVringState.size);
    vhostVringState.write(state, { index: vring, num: 0 });
    if (!this.#try(() => this.#file.call('VHOST_GET_VRING_BASE', state))) return null;
    const { num } = vhostVringState.read(state);
    const lastAvail = num & 0xffff;
    return { lastAvail, usedIndex: this.#isPacked ? num >>> 16 : lastAvail };
  }

  get #isPacked(): boolean {
    return (this.#features & FEATURE.ringPacked) !== 0n;
  }

  #state(name: 'VHOST_SET_VRING_NUM' | 'VHOST_SET_VRING_BASE', vring: number, num: number): void {
    const state = new Uint8Array(vhostVringState.size);
    vhostVringState.write(state, { index: vring, num });
    this.#file.call(name, state);
  }

  #fileOf(
    name: 'VHOST_SET_VRING_KICK' | 'VHOST_SET_VRING_CALL' | 'VHOST_SET_VRING_ERR' | 'VHOST_NET_SET_BACKEND',
    vring: number,
    fd: number,
  ): void {
    const file = new Uint8Array(vhostVringFile.size);
    vhostVringFile.write(file, { index: vring, fd });
    this.#file.call(name, file);
  }

  /** For undoing: a refusal by the kernel can only be ignored. @returns whether it succeeded */
  #try(call: () => void): boolean {
    try {
      call();
      return true;
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      return false;
    }
  }
}

/**
 * The position of a packed virtqueue: the used one is in the upper half, each with its wrap counter in the highest bit.
 */
function packedBase({ lastAvail, usedIndex }: QueueProgress): number {
  return ((usedIndex << 16) | lastAvail) >>> 0;
}

function bytesOf(words: BigUint64Array): Uint8Array {
  return new Uint8Array(words.buffer);
}
