import { constants } from 'node:os';
import type { MemoryRegion } from '../../devices/guest-memory.ts';
import type { DiskErrors } from '../../devices/virtio/block-backend.ts';
import type { QueueProgress } from '../../devices/virtio/virtio-device.ts';
import type { CounterShape } from '../counters/counters.ts';
import { Struct, type StructValue } from '../kvm/c-struct.ts';
import { checked, nativeCalls } from './native-library.ts';
import type { ResourceOwner } from './resource-owner.ts';

/** Kinds of events (native/src/event.rs). */
export const EVENT = {
  /** vCPU `index` left KVM with exit reason `data` and waits for `completeVcpu`. */
  exit: 1,
  /** The fd watched with token `data` is readable; `aux` is the count of a drained eventfd. */
  fd: 2,
  /** vCPU `index` is out of KVM and has no exit open. */
  parked: 3,
  /** The thread of vCPU `index` ended: `data` is KVM_RUN's errno, 0 if it was asked to end; `aux` is 1 if it died. */
  vcpuEnded: 4,
  /** Queue `index` is no longer served: `data` is 1 if the guest violated the protocol, 2 if the thread died. */
  queueBroken: 5,
  /** Queue `index` has new kinds of disk errors. */
  diskErrors: 6,
  /** The thread of queue `index`, which was asked to stop, has ended: `stopQueue` has its position. */
  queueEnded: 7,
} as const;

/** Layouts shared with native/, compared by a test. */
export const nativeEvent = new Struct('Event', { kind: 'u32', index: 'u32', data: 'u64', aux: 'u64' });
export const nativeRegion = new Struct('Region', { gpa: 'u64', size: 'u64', host: 'u64' });
/** The most requests that a queue has taken and not returned. */
const MAX_IN_FLIGHT = 256;
export const nativeProgress = new Struct('QueueProgress', {
  lastAvail: 'u16',
  usedIndex: 'u16',
  unfinishedCount: 'u32',
  unfinished: { array: 'u16', length: MAX_IN_FLIGHT },
});
export const nativeBlkQueue = new Struct('BlkQueueConfig', {
  descriptors: 'u64',
  available: 'u64',
  used: 'u64',
  features: 'u64',
  diskSize: 'u64',
  diskFd: 's32',
  kickFd: 's32',
  callFd: 's32',
  size: 'u32',
  counterSlot: 'u32',
  lastAvail: 'u16',
  usedIndex: 'u16',
  flags: 'u32',
  maxSegments: 'u32',
  maxRanges: 'u32',
  maxRangeSectors: 'u32',
  unfinishedCount: 'u32',
  unfinished: { array: 'u16', length: MAX_IN_FLIGHT },
  serial: { array: 'u8', length: 20 },
});

export const nativeDiskErrors = new Struct('DiskErrors', {
  sector: 'u64',
  count: 'u64',
  access: 'u32',
  errno: 's32',
});

/** Bits of `flags` in a BlkQueueConfig. */
export const BLK_QUEUE_FLAG = { readonly: 1, blockDevice: 2, discard: 4 } as const;

/** A queue and its disk; `unfinished` are the chains to serve first, at most 256. */
export type BlkQueueConfig = Omit<
  StructValue<typeof nativeBlkQueue.fields>,
  'unfinishedCount' | 'unfinished'
> & { readonly unfinished: readonly number[] };

/** By the number in native/src/blk/errors.rs. */
const DISK_ACCESSES = ['read', 'write', 'flush', 'discard', 'write-zeroes'] as const;

const MAX_EVENTS = 64;
const EVENT_WORDS = nativeEvent.size / 4;
const KIND = nativeEvent.offset('kind') / 4;
const INDEX = nativeEvent.offset('index') / 4;
const DATA = nativeEvent.offset('data') / 4;
const AUX = nativeEvent.offset('aux') / 4;
const MAX_TEXT = 512;
const MAX_DISK_ERRORS = 32;
const MAX_STUCK = 64;
/** Flags of vring_watch. */
const WATCH = { readable: 0, drain: 1, either: 2 } as const;

/** The layouts of native/ as JSON text. */
export function nativeLayout(): string {
  return nativeCalls().vring_layout();
}

/**
 * Ends the VM's threads, whatever the machine thread is doing, then unmaps and closes everything it owns. Callable from any
 * thread; does nothing if the VM is already destroyed. The machine thread must no longer touch guest memory: while it still
 * runs, call `shutDownVmLater` first.
 */
export function destroyVm(handle: number): void {
  nativeCalls().vring_vm_destroy(handle);
}

/**
 * Ends the threads of every VM of this process, and makes the machine threads' waits throw ECANCELED; memory stays mapped.
 * For a process that is exiting: Node waits for its own threads, and those wait for the guests'.
 */
export function shutDownAllVms(): void {
  nativeCalls().vring_shutdown_all();
}

/** Does the same to one VM, on a separate thread: it waits for disk requests, a second at most. */
export function shutDownVmLater(handle: number): Promise<void> {
  return new Promise(resolve => nativeCalls().vring_vm_shutdown.async(handle, () => resolve()));
}

/**
 * `destroyVm` on a separate thread. @returns the counter slots of the queues that were left behind, stuck in a disk request:
 * the VM's memory stays mapped, and its disk locked, until that ends
 */
export async function destroyVmLater(handle: number): Promise<number[]> {
  await shutDownVmLater(handle);
  const stuck = stuckQueues(handle);
  await new Promise<void>(resolve => nativeCalls().vring_vm_destroy.async(handle, () => resolve()));
  return stuck;
}

function stuckQueues(handle: number): number[] {
  const slots = new Uint32Array(MAX_STUCK);
  const count = nativeCalls().vring_vm_stuck(handle, slots, slots.length);
  return [...slots.subarray(0, Math.max(0, count))];
}

/**
 * A VM's native side, for its machine thread: the reactor it sleeps in, its vCPU and queue threads, and the resources it
 * owns.
 */
export class NativeVm implements ResourceOwner {
  /** For `destroyVm` and `shutDownVmLater`, on any thread. */
  readonly handle: number;
  /** Native threads write to the counters, so they must live as long as this object, and until the VM is destroyed. */
  readonly counters: BigUint64Array;
  readonly #calls = nativeCalls();
  readonly #events = new Uint32Array(MAX_EVENTS * EVENT_WORDS);

  /** vCPUs that it has room for. */
  readonly maxVcpus: number;

  constructor(counters: BigUint64Array, shape: CounterShape) {
    this.counters = counters;
    const { vcpus, queues } = shape;
    this.maxVcpus = vcpus;
    this.handle = checked(
      'vring_vm_create',
      this.#calls.vring_vm_create(counters, counters.length, vcpus, queues),
    );
  }

  destroy(): void {
    destroyVm(this.handle);
  }

  /** Counter slots of the queues that were left behind when they were stopped, stuck in a disk request. */
  get stuckQueues(): number[] {
    return stuckQueues(this.handle);
  }

  ownFd(fd: number): number {
    checked('vring_vm_own_fd', this.#calls.vring_vm_own_fd(this.handle, fd));
    return fd;
  }

  ownMap(address: bigint, length: number): void {
    checked('vring_vm_own_map', this.#calls.vring_vm_own_map(this.handle, address, length));
  }

  closeFd(fd: number): void {
    checked('vring_vm_disown_fd', this.#calls.vring_vm_disown_fd(this.handle, fd));
  }

  /** Sets the guest RAM that queue threads may access, for queues started from now on. */
  setMemory(regions: readonly MemoryRegion[]): void {
    const bytes = new Uint8Array(regions.length * nativeRegion.size);
    regions.forEach(({ address, size, host }, index) => {
      const value = { gpa: BigInt(address), size: BigInt(size), host };
      nativeRegion.write(bytes, value, index * nativeRegion.size);
    });
    checked('vring_vm_set_memory', this.#calls.vring_vm_set_memory(this.handle, bytes, regions.length));
  }

  /** Whether threads started from now on are restricted to the system calls they need (default: yes). */
  setSeccomp(on: boolean): void {
    checked('vring_vm_set_seccomp', this.#calls.vring_vm_set_seccomp(this.handle, Number(on)));
  }

  /** Collects events without sleeping. @returns the number of events, for `eventKind` and the like. */
  poll(): number {
    return this.wait(0n);
  }

  /**
   * Sleeps, or runs the vCPU that this thread carries, until something happens or `timeout` nanoseconds have passed, or until
   * `deadline`, in nanoseconds of the monotonic clock; null is never. @returns the number of events, which stay
   * readable until the next call. @throws SystemError ECANCELED once the VM is being destroyed.
   */
  wait(timeout: bigint | null, deadline: bigint | null = null): number {
    const events = this.#calls.vring_wait(
      this.handle,
      this.#events,
      MAX_EVENTS,
      timeout ?? -1n,
      deadline ?? -1n,
    );
    return checked('vring_wait', events);
  }

  eventKind(event: number): number {
    return this.#events[event * EVENT_WORDS + KIND]!;
  }

  eventIndex(event: number): number {
    return this.#events[event * EVENT_WORDS + INDEX]!;
  }

  /** The low 32 bits of `data`; only `fd` events have more. */
  eventData(event: number): number {
    return this.#events[event * EVENT_WORDS + DATA]!;
  }

  eventToken(event: number): number {
    const at = event * EVENT_WORDS + DATA;
    return this.#events[at]! + this.#events[at + 1]! * 2 ** 32;
  }

  /** The low 32 bits of `aux`. */
  eventAux(event: number): number {
    return this.#events[event * EVENT_WORDS + AUX]!;
  }

  /** Reports eventfd `fd` with `token` when it is signaled, after emptying it. */
  watchEventFd(fd: number, token: number): void {
    checked('vring_watch', this.#calls.vring_watch(this.handle, fd, token, WATCH.drain));
  }

  /**
   * Reports `fd` with `token` for as long as it is readable, or writable if that is asked for. May be called again with the
   * same token to change that.
   */
  watchFd(fd: number, token: number, writable = false): void {
    const flags = writable ? WATCH.either : WATCH.readable;
    checked('vring_watch', this.#calls.vring_watch(this.handle, fd, token, flags));
  }

  unwatch(fd: number): void {
    checked('vring_unwatch', this.#calls.vring_unwatch(this.handle, fd));
  }

  /**
   * Starts the thread of vCPU `index`, parked. May replace one that has ended. `run` is its mapped kvm_run, which
   * outlives the VM; `cpu` the host CPU to run on.
   */
  startVcpu(index: number, fd: number, run: { address: bigint; size: number }, cpu?: number): void {
    const result = this.#calls.vring_vcpu_start(this.handle, index, fd, run.address, run.size, cpu ?? -1);
    checked('vring_vcpu_start', result);
  }

  /**
   * Has the calling thread, which must be the one that waits, run vCPU `index` meanwhile, parked at first: its exits are then
   * answered without a hand-over between threads.
   */
  carryVcpu(index: number, fd: number, run: { address: bigint; size: number }): void {
    const result = this.#calls.vring_vcpu_carry(this.handle, index, fd, run.address, run.size);
    checked('vring_vcpu_carry', result);
  }

  /** Lets a parked vCPU run, or cancels a pause that hasn't been reported yet. */
  resumeVcpu(index: number): void {
    checked('vring_vcpu_resume', this.#calls.vring_vcpu_resume(this.handle, index));
  }

  /** A `parked` event follows, after any open exit has been answered. */
  pauseVcpu(index: number): void {
    checked('vring_vcpu_pause', this.#calls.vring_vcpu_pause(this.handle, index));
  }

  /** The open exit has been answered in the kvm_run page. */
  completeVcpu(index: number): void {
    checked('vring_vcpu_complete', this.#calls.vring_vcpu_complete(this.handle, index));
  }

  /** A `vcpuEnded` event follows, even if an exit is open. */
  stopVcpu(index: number): void {
    checked('vring_vcpu_stop', this.#calls.vring_vcpu_stop(this.handle, index));
  }

  /** Why a vCPU's thread ended, in words; empty if it was asked to. */
  vcpuError(index: number): string {
    const text = new Uint8Array(MAX_TEXT);
    const length = this.#calls.vring_vcpu_error(this.handle, index, text, text.length);
    return decode(text, checked('vring_vcpu_error', length));
  }

  /** Starts a thread that serves a virtio-blk queue. @returns its handle, as in `queueBroken` events. */
  startBlkQueue(config: BlkQueueConfig): number {
    const { unfinished, ...rest } = config;
    const heads = Array.from({ length: MAX_IN_FLIGHT }, (_, index) => unfinished[index] ?? 0);
    const bytes = nativeBlkQueue.encode({ ...rest, unfinishedCount: unfinished.length, unfinished: heads });
    return checked('vring_blk_queue_start', this.#calls.vring_blk_queue_start(this.handle, bytes));
  }

  /** Asks the thread to end, without waiting. A `queueEnded` event follows. */
  requestQueueStop(queue: number): void {
    checked('vring_queue_request_stop', this.#calls.vring_queue_request_stop(this.handle, queue));
  }

  /** Asks all queue threads to end, so that stopping one after the other takes no longer than one. */
  requestStopOfAllQueues(): void {
    this.requestQueueStop(-1);
  }

  /**
   * Asks the thread to end, between two steps of its requests, waits for that at most `limitMs`, and frees the handle. @returns
   * its position in the ring; null if it has not ended: it still uses the ring, and the handle stays valid
   */
  stopQueue(queue: number, limitMs: number): QueueProgress | null {
    const bytes = new Uint8Array(nativeProgress.size);
    const limit = BigInt(Math.round(limitMs * 1e6));
    const result = this.#calls.vring_queue_stop(this.handle, queue, limit, bytes);
    if (result === -constants.errno.EAGAIN) return null;
    checked('vring_queue_stop', result);
    return progressOf(bytes);
  }

  /**
   * Leaves a thread behind that does not end, because it is stuck in a disk request, and frees the handle. The kernel may still
   * write to the guest's memory, and its counter slot is taken, until the request has ended. @returns null; its position in
   * the ring if it has ended after all
   */
  abandonQueue(queue: number): QueueProgress | null {
    const bytes = new Uint8Array(nativeProgress.size);
    const result = checked('vring_queue_abandon', this.#calls.vring_queue_abandon(this.handle, queue, bytes));
    return result === 0 ? progressOf(bytes) : null;
  }

  /**
   * The kinds of disk errors that a queue has not reported yet; with `endPeriod`, those that have occurred again since they
   * were, and the others are forgotten.
   */
  diskErrors(queue: number, endPeriod: boolean): DiskErrors[] {
    const { size } = nativeDiskErrors;
    const bytes = new Uint8Array(MAX_DISK_ERRORS * size);
    const count = checked(
      'vring_queue_disk_errors',
      this.#calls.vring_queue_disk_errors(this.handle, queue, Number(endPeriod), bytes, MAX_DISK_ERRORS),
    );
    return Array.from({ length: count }, (_, index) => {
      const { sector, count, access, errno } = nativeDiskErrors.read(bytes, index * size);
      return { access: DISK_ACCESSES[access]!, errno, sector: Number(sector), count: Number(count) };
    });
  }

  /** Why a queue is no longer served, in words. */
  queueError(queue: number): string {
    const text = new Uint8Array(MAX_TEXT);
    const length = this.#calls.vring_queue_error(this.handle, queue, text, text.length);
    return decode(text, checked('vring_queue_error', length));
  }
}

function progressOf(bytes: Uint8Array): QueueProgress {
  const { lastAvail, usedIndex, unfinishedCount, unfinished } = nativeProgress.read(bytes);
  const left = unfinished.slice(0, unfinishedCount);
  return { lastAvail, usedIndex, ...(left.length > 0 && { unfinished: left }) };
}

function decode(text: Uint8Array, length: number): string {
  return new TextDecoder().decode(text.subarray(0, Math.min(length, text.length)));
}
