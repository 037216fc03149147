import { constants } from 'node:os';
import type { DiskErrors } from '../../devices/backends/disk.ts';
import type { MemoryRegion } from '../../devices/guest-memory.ts';
import type { HostBlock } from '../../devices/host-block.ts';
import type { BalloonQueueOptions } from '../../devices/virtio/balloon/page-discards.ts';
import type { CounterShape } from '../counters/counters.ts';
import type { StructValue } from '../kvm/c-struct.ts';
import {
  allocationStruct,
  BALLOON_ROLE,
  balloonConfigStruct,
  blkConfigStruct,
  chainFileStruct,
  DISK_ACCESS,
  diskErrorsStruct,
  eventStruct,
  IMAGE_FLAG,
  imageConfigStruct,
  queueConfigStruct,
  queueProgressStruct,
  rateLimitsStruct,
  regionStruct,
  rngConfigStruct,
  waitPageStruct,
} from './abi.ts';
import { checked, nativeAddon, nativeCalls } from './native-library.ts';
import type { ResourceOwner } from './resource-owner.ts';

export { EVENT } from './abi.ts';

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

/** A file of an image's chain. */
export type ChainFile = { readonly fd: number; readonly isQcow2: boolean };

export type ImageOptions = {
  readonly readonly: boolean;
  /** Discarded space is returned to the file system. */
  readonly canDiscard: boolean;
  /** When writes are made durable: on the guest's request, before each write completes, or never. */
  readonly durability: 'asked' | 'always' | 'never';
  /** Whether writes of only zeros zero the range instead; with `unmap`, they also release its space if discards do. */
  readonly detectZeroes?: 'off' | 'on' | 'unmap';
};

/** Rates per second, 0 for no limit, and the burst allowed after a pause, 0 for a tenth of a second's worth. */
export type RateLimits = {
  readonly operations: number;
  readonly operationsBurst: number;
  readonly bytes: number;
  readonly bytesBurst: number;
};

const DISK_ACCESSES = new Map<number, DiskErrors['access']>([
  [DISK_ACCESS.read, 'read'],
  [DISK_ACCESS.write, 'write'],
  [DISK_ACCESS.flush, 'flush'],
  [DISK_ACCESS.discard, 'discard'],
  [DISK_ACCESS.writeZeroes, 'write-zeroes'],
]);

/** A part of guest memory for queue threads. */
export type QueueRegion = MemoryRegion & {
  /** Address of its block's log (queue-memory.ts); absent if it has none. */
  readonly log?: bigint;
  /** Its offset in its block. */
  readonly offset?: number;
  /** Whether they may not write it; default: false. */
  readonly readonly?: boolean;
  /** How its pages are returned to the host; null or absent: they are not. */
  readonly discard?: HostBlock['discard'] | null;
};

/** The advice for madvise(2). */
const DISCARDS = { remove: 9n, dontneed: 4n } as const;

const EVENT_WORDS = eventStruct.size / 4;
const EVENTS = waitPageStruct.offset('events') / 4;
const KIND = EVENTS + eventStruct.offset('kind') / 4;
const INDEX = EVENTS + eventStruct.offset('index') / 4;
const DATA = EVENTS + eventStruct.offset('data') / 4;
const AUX = EVENTS + eventStruct.offset('aux') / 4;
const ANSWERED = waitPageStruct.offset('answered') / 4;
const RESULT = waitPageStruct.offset('result') / 4;
const RANGE_NS = waitPageStruct.offset('rangeNs') / 4;
const TIMEOUT_NS = waitPageStruct.offset('timeoutNs') / 8;
const DEADLINE_NS = waitPageStruct.offset('deadlineNs') / 8;
/** All ones. */
const FOREVER = (1n << 64n) - 1n;
const MAX_TEXT = 512;
const MAX_DISK_ERRORS = 32;
const MAX_STUCK = 64;
/** Flags of vring_watch. */
const WATCH = { readable: 0, drain: 1, either: 2 } as const;

/** The VM that the addon's functions of this thread are for. */
let selected: NativeVm | null = null;

/**
 * Ends the VM's threads, whatever the machine thread is doing, then unmaps and closes everything it owns. Callable from
 * any thread; does nothing if the VM is already destroyed. The machine thread must no longer touch guest memory: if it
 * still runs, call `shutDownVmLater` first.
 */
export function destroyVm(handle: number): void {
  if (selected?.handle === handle) selected = null;
  nativeCalls().vring_vm_destroy(handle);
}

/**
 * Ends the threads of every VM of this process, and makes the machine threads' waits throw ECANCELED; memory stays
 * mapped. For a process that is exiting: Node waits for its own threads, and those wait for the guests'.
 */
export function shutDownAllVms(): void {
  nativeCalls().vring_shutdown_all();
}

/** Same, for one VM, on a separate thread: it waits for disk requests, a second at most. */
export function shutDownVmLater(handle: number): Promise<void> {
  return new Promise(resolve => nativeCalls().vring_vm_shutdown.async(handle, () => resolve()));
}

/**
 * `destroyVm` on a separate thread.
 * @returns the counter slots of the queues that were left behind, stuck in a disk request: the VM's memory stays
 * mapped, and its disk locked, until that ends
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

/** A VM's native side, for its machine thread: its reactor, its vCPU and queue threads, and the resources it owns. */
export class NativeVm implements ResourceOwner {
  /** For `destroyVm` and `shutDownVmLater`, on any thread. */
  readonly handle: number;
  /** Native threads write to the counters, so they must live as long as this object, and until the VM is destroyed. */
  readonly counters: BigUint64Array;
  readonly #calls = nativeCalls();
  readonly #addon = nativeAddon();
  /**
   * The data that a wait and this exchange. Native code keeps its address, so it is shared memory, which does not move.
   */
  readonly #page = new Uint32Array(new SharedArrayBuffer(waitPageStruct.size));
  readonly #results = new Int32Array(this.#page.buffer);
  /** The same, in whole words. */
  readonly #pageWords = new BigUint64Array(this.#page.buffer);
  /** The timeout in the page. */
  #timeout: bigint | null = null;
  #deadline: bigint | null = null;
  /** The vCPU that the waiting thread runs. */
  #carried = -1;

  /** Most vCPUs that it can have. */
  readonly maxVcpus: number;

  constructor(counters: BigUint64Array, shape: CounterShape) {
    this.counters = counters;
    const { vcpus, queues } = shape;
    this.maxVcpus = vcpus;
    this.#pageWords[TIMEOUT_NS] = FOREVER;
    this.#pageWords[DEADLINE_NS] = FOREVER;
    this.handle = checked(
      'vring_vm_create',
      this.#calls.vring_vm_create(counters, counters.length, vcpus, queues, this.#page),
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

  /**
   * Sets the guest RAM that queue threads may access. Running threads switch soon, between two steps of their requests.
   */
  setMemory(regions: readonly QueueRegion[]): void {
    const bytes = new Uint8Array(regions.length * regionStruct.size);
    regions.forEach((region, index) => {
      const { address, size, host, log = 0n, offset = 0, readonly = false, discard = null } = region;
      const value = {
        gpa: BigInt(address),
        size: BigInt(size),
        host,
        log,
        offset: BigInt(offset),
        readonly: readonly ? 1n : 0n,
        discard: discard === null ? 0n : DISCARDS[discard],
      };
      regionStruct.write(bytes, value, index * regionStruct.size);
    });
    checked('vring_vm_set_memory', this.#calls.vring_vm_set_memory(this.handle, bytes, regions.length));
  }

  /** Sets whether pages of guest RAM may be returned to the host. With false, none are being returned afterwards. */
  allowDiscards(allowed: boolean): void {
    checked('vring_vm_allow_discards', this.#calls.vring_vm_allow_discards(this.handle, Number(allowed)));
  }

  /** Turns the log of a block on or off: later writes of queue threads are recorded. @param log its address */
  setWriteLog(log: bigint, on: boolean): void {
    checked('vring_write_log_set', this.#calls.vring_write_log_set(log, Number(on)));
  }

  /**
   * Takes the recorded pages out of a log of `pages`.
   * @returns bits, of which bit i % 32 of word i / 32 is page i; null if there are none
   */
  takeWritten(log: bigint, pages: number): Uint32Array | null {
    const words = new BigUint64Array(Math.ceil(pages / 64));
    const found = this.#calls.vring_write_log_take(log, words, words.length);
    return checked('vring_write_log_take', found) === 0 ? null : new Uint32Array(words.buffer);
  }

  /** Sets whether threads started from now on are restricted to the system calls they need (default: yes). */
  setSeccomp(on: boolean): void {
    checked('vring_vm_set_seccomp', this.#calls.vring_vm_set_seccomp(this.handle, Number(on)));
  }

  /** Collects events without sleeping. @returns the number of events, for `eventKind` and the like. */
  poll(): number {
    return this.wait(0n);
  }

  /**
   * Sleeps, or runs the vCPU that this thread carries, until something happens or `timeout` nanoseconds have passed, or
   * until `deadline`, in nanoseconds of the monotonic clock; null is never.
   * @returns the number of events, which stay readable until the next call. @throws SystemError ECANCELED once the VM
   * is being destroyed.
   */
  wait(timeout: bigint | null, deadline: bigint | null = null): number {
    if (timeout !== this.#timeout) {
      this.#timeout = timeout;
      this.#pageWords[TIMEOUT_NS] = timeout ?? FOREVER;
    }
    if (deadline !== this.#deadline) {
      this.#deadline = deadline;
      this.#pageWords[DEADLINE_NS] = deadline ?? FOREVER;
    }
    this.#select();
    this.#addon.wait();
    return this.#result('vring_wait');
  }

  #select(): void {
    if (selected === this) return;
    checked('vring_wait', this.#calls.vring_vm_select(this.handle));
    selected = this;
  }

  #result(call: 'vring_wait' | 'vring_complete'): number {
    const result = this.#results[RESULT]!;
    if (result >= 0) return result;
    selected = null;
    return checked(call, result);
  }

  eventKind(event: number): number {
    return this.#page[event * EVENT_WORDS + KIND]!;
  }

  eventIndex(event: number): number {
    return this.#page[event * EVENT_WORDS + INDEX]!;
  }

  /** The low 32 bits of `data`; only `fd` events have more. */
  eventData(event: number): number {
    return this.#page[event * EVENT_WORDS + DATA]!;
  }

  eventToken(event: number): number {
    const at = event * EVENT_WORDS + DATA;
    return this.#page[at]! + this.#page[at + 1]! * 2 ** 32;
  }

  /** The low 32 bits of `aux`. */
  eventAux(event: number): number {
    return this.#page[event * EVENT_WORDS + AUX]!;
  }

  /** Reports eventfd `fd` with `token` when it is signaled, after emptying it. */
  watchEventFd(fd: number, token: number): void {
    checked('vring_watch', this.#calls.vring_watch(this.handle, fd, token, WATCH.drain));
  }

  /**
   * Reports `fd` with `token` while it is readable, or also writable on request. Call it again with the same token to
   * change that.
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
   * outlives the VM; `cpu` the host CPU on which to run.
   */
  startVcpu(index: number, fd: number, run: { address: bigint; size: number }, cpu?: number): void {
    const result = this.#calls.vring_vcpu_start(this.handle, index, fd, run.address, run.size, cpu ?? -1);
    checked('vring_vcpu_start', result);
    if (index === this.#carried) this.#carried = -1;
  }

  /**
   * Makes the calling thread, which must be the waiting one, run vCPU `index` while it waits, parked at first: its
   * exits are then answered without switching threads.
   */
  carryVcpu(index: number, fd: number, run: { address: bigint; size: number }): void {
    const result = this.#calls.vring_vcpu_carry(this.handle, index, fd, run.address, run.size);
    checked('vring_vcpu_carry', result);
    this.#carried = index;
  }

  /** Lets a parked vCPU run, or cancels a pause that hasn't been reported yet. */
  resumeVcpu(index: number): void {
    checked('vring_vcpu_resume', this.#calls.vring_vcpu_resume(this.handle, index));
  }

  /** A `parked` event follows, after any open exit has been answered. */
  pauseVcpu(index: number): void {
    checked('vring_vcpu_pause', this.#calls.vring_vcpu_pause(this.handle, index));
  }

  /**
   * The open exit has been answered in the kvm_run page. A vCPU that runs only during a wait continues in the next one.
   */
  completeVcpu(index: number): void {
    this.#page[ANSWERED] = index + 1;
    if (index === this.#carried) return;
    this.#select();
    this.#addon.complete();
    this.#result('vring_complete');
  }

  /** The words of the counters to which the time of the next answer is added (access-times.ts). */
  get timedWords(): Uint32Array {
    return this.#page.subarray(RANGE_NS, RANGE_NS + 2);
  }

  /** A `vcpuEnded` event follows, even if an exit is open. */
  stopVcpu(index: number): void {
    checked('vring_vcpu_stop', this.#calls.vring_vcpu_stop(this.handle, index));
  }

  /** Why a vCPU's thread ended, in words; empty if on request. */
  vcpuError(index: number): string {
    const text = new Uint8Array(MAX_TEXT);
    const length = this.#calls.vring_vcpu_error(this.handle, index, text, text.length);
    return decode(text, checked('vring_vcpu_error', length));
  }

  /**
   * Opens a raw image of `size` bytes, a multiple of 512, in the open file of `fd`, which is duplicated.
   * @returns its handle
   */
  openImage(fd: number, size: number, options: ImageOptions): number {
    const config = imageConfigStruct.encode({ capacity: BigInt(size), fd, flags: imageFlags(options) });
    return checked('vring_image_open', this.#calls.vring_image_open(this.handle, config));
  }

  /**
   * Opens a qcow2 image whose chain of files is open, itself first; the fds are duplicated. @returns its handle
   * @throws SystemError EBADMSG if it is unusable, as reported by `inspectQcow2`
   */
  openQcow2Image(chain: readonly ChainFile[], options: ImageOptions): number {
    const config = imageConfigStruct.encode({ capacity: 0n, fd: -1, flags: imageFlags(options) });
    const files = new Uint8Array(chain.length * chainFileStruct.size);
    for (const [index, { fd, isQcow2 }] of chain.entries())
      chainFileStruct.write(files, { fd, qcow2: Number(isQcow2) }, index * chainFileStruct.size);
    const result = this.#calls.vring_image_open_qcow2(this.handle, config, files, chain.length);
    return checked('vring_image_open_qcow2', result);
  }

  /** Bytes of the disk in an image. */
  imageCapacity(image: number): number {
    const out = new BigUint64Array(1);
    const result = this.#calls.vring_image_capacity(this.handle, image, new Uint8Array(out.buffer));
    checked('vring_image_capacity', result);
    return Number(out[0]);
  }

  /** Sets how requests that fail on the host are handled: `ERROR_ACTION`s. */
  setErrorPolicy(image: number, reads: number, writes: number): void {
    const result = this.#calls.vring_image_set_policy(this.handle, image, reads, writes);
    checked('vring_image_set_policy', result);
  }

  /** Why an image is no longer written, because its tables are wrong; empty if they are not known to be. */
  imageCorruption(image: number): string {
    const text = new Uint8Array(MAX_TEXT);
    const length = this.#calls.vring_image_corruption(this.handle, image, text, text.length);
    return decode(text, checked('vring_image_corruption', length));
  }

  /** The file is closed once no queue uses it. */
  closeImage(image: number): void {
    checked('vring_image_close', this.#calls.vring_image_close(this.handle, image));
  }

  /**
   * Changes the size for requests that begin from now on: bytes, a multiple of 512. The file already has its new size.
   */
  resizeImage(image: number, size: number): void {
    checked('vring_image_resize', this.#calls.vring_image_resize(this.handle, image, BigInt(size)));
  }

  /**
   * Sets whether writes that begin from now on are durable when they complete, for drivers that can choose
   * (VIRTIO_BLK_F_CONFIG_WCE).
   */
  setWriteThrough(image: number, on: boolean): void {
    const result = this.#calls.vring_image_set_write_through(this.handle, image, Number(on));
    checked('vring_image_set_write_through', result);
  }

  /**
   * Whether an image has storage for the byte at `start`, and for how many bytes that holds. Blocks on the file system.
   */
  imageAllocation(image: number, start: number): { readonly allocated: boolean; readonly bytes: number } {
    const out = new Uint8Array(allocationStruct.size);
    const result = this.#calls.vring_image_allocation(this.handle, image, BigInt(start), out);
    checked('vring_image_allocation', result);
    const { bytes, allocated } = allocationStruct.read(out);
    return { allocated: allocated !== 0n, bytes: Number(bytes) };
  }

  /** Creates a limiter, which queues can share. @returns its handle */
  createLimiter(limits: RateLimits): number {
    const bytes = encodeLimits(limits);
    return checked('vring_limiter_create', this.#calls.vring_limiter_create(this.handle, bytes));
  }

  /** Changes the limits; requests that wait because of the old ones are reconsidered. */
  setLimits(limiter: number, limits: RateLimits): void {
    const bytes = encodeLimits(limits);
    checked('vring_limiter_set', this.#calls.vring_limiter_set(this.handle, limiter, bytes));
  }

  /** Queues that have the limiter keep it. */
  destroyLimiter(limiter: number): void {
    checked('vring_limiter_destroy', this.#calls.vring_limiter_destroy(this.handle, limiter));
  }

  /**
   * Starts a thread that serves a virtio-blk queue, `unfinished` chains first.
   * @returns its handle, as in `queueBroken` events.
   */
  startBlkQueue(queue: QueueConfig, unfinished: Uint8Array, blk: BlkConfig): number {
    const config = queueConfigStruct.encode(queue);
    const bytes = blkConfigStruct.encode(blk);
    return checked(
      'vring_blk_queue_start',
      this.#calls.vring_blk_queue_start(this.handle, config, unfinished, unfinished.length, bytes),
    );
  }

  /** Same, for a virtio-rng queue; `limiter` is -1 for none. */
  startRngQueue(queue: QueueConfig, unfinished: Uint8Array, limiter: number): number {
    const config = queueConfigStruct.encode(queue);
    const bytes = rngConfigStruct.encode({ limiter });
    return checked(
      'vring_rng_queue_start',
      this.#calls.vring_rng_queue_start(this.handle, config, unfinished, unfinished.length, bytes),
    );
  }

  /** Same, for a virtio-balloon queue. */
  startBalloonQueue(queue: QueueConfig, unfinished: Uint8Array, role: BalloonQueueOptions['role']): number {
    const config = queueConfigStruct.encode(queue);
    const bytes = balloonConfigStruct.encode({ role: BALLOON_ROLE[role] });
    return checked(
      'vring_balloon_queue_start',
      this.#calls.vring_balloon_queue_start(this.handle, config, unfinished, unfinished.length, bytes),
    );
  }

  /** The pages that a balloon has not given back to the host yet. Its queues must be stopped. */
  saveBalloon(): Uint8Array {
    const save = (buffer: Uint8Array) =>
      checked('vring_balloon_save', this.#calls.vring_balloon_save(this.handle, buffer, buffer.length));
    const saved = new Uint8Array(save(new Uint8Array()));
    save(saved);
    return saved;
  }

  /** Replaces them. @param saved empty for none @returns false if that is no saved state */
  loadBalloon(saved: Uint8Array): boolean {
    const result = this.#calls.vring_balloon_load(this.handle, saved, saved.length);
    if (result === -constants.errno.EINVAL) return false;
    checked('vring_balloon_load', result);
    return true;
  }

  /** Asks the thread to end, without waiting. A `queueEnded` event follows. */
  requestQueueStop(queue: number): void {
    checked('vring_queue_request_stop', this.#calls.vring_queue_request_stop(this.handle, queue));
  }

  /** Asks all queue threads to end, so that stopping them one by one takes no longer than stopping one. */
  requestStopOfAllQueues(): void {
    this.requestQueueStop(-1);
  }

  /**
   * Asks the thread to end, between two steps of its requests, waits at most `limitMs` for that, and frees the handle.
   * @returns its position in a ring of `size` entries; null if it has not ended: it still uses the ring, and the handle
   * stays valid
   */
  stopQueue(queue: number, size: number, limitMs: number): NativeProgress | null {
    const limit = BigInt(Math.round(limitMs * 1e6));
    const progress = new Uint8Array(queueProgressStruct.size);
    const unfinished = roomForUnfinished(size);
    const result = this.#calls.vring_queue_stop(
      this.handle,
      queue,
      limit,
      progress,
      unfinished,
      unfinished.length,
    );
    if (result === -constants.errno.EAGAIN) return null;
    checked('vring_queue_stop', result);
    return progressOf(progress, unfinished);
  }

  /**
   * Leaves a thread behind that does not end, because it is stuck in a disk request, and frees the handle. The kernel
   * may still write to the guest's memory, and its counter slot is taken, until the request has ended.
   * @returns null; its position in the ring if it has ended after all
   */
  abandonQueue(queue: number, size: number): NativeProgress | null {
    const progress = new Uint8Array(queueProgressStruct.size);
    const unfinished = roomForUnfinished(size);
    const { length } = unfinished;
    const result = this.#calls.vring_queue_abandon(this.handle, queue, progress, unfinished, length);
    return checked('vring_queue_abandon', result) === 0 ? progressOf(progress, unfinished) : null;
  }

  /**
   * The kinds of disk errors that a queue has not reported yet; with `endPeriod`, those that have recurred since they
   * were reported, and the others are forgotten.
   */
  diskErrors(queue: number, endPeriod: boolean): DiskErrors[] {
    const { size } = diskErrorsStruct;
    const bytes = new Uint8Array(MAX_DISK_ERRORS * size);
    const count = checked(
      'vring_queue_disk_errors',
      this.#calls.vring_queue_disk_errors(this.handle, queue, Number(endPeriod), bytes, MAX_DISK_ERRORS),
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
  queueError(queue: number): string {
    const text = new Uint8Array(MAX_TEXT);
    const length = this.#calls.vring_queue_error(this.handle, queue, text, text.length);
    return decode(text, checked('vring_queue_error', length));
  }
}

function imageFlags({ readonly, canDiscard, durability, detectZeroes }: ImageOptions): number {
  return (
    (readonly ? IMAGE_FLAG.readonly : 0) |
    (canDiscard ? IMAGE_FLAG.discard : 0) |
    (durability === 'never' ? IMAGE_FLAG.volatile : 0) |
    (durability === 'always' ? IMAGE_FLAG.writeThrough : 0) |
    (detectZeroes === 'on' ? IMAGE_FLAG.detectZeroes : 0) |
    (detectZeroes === 'unmap' ? IMAGE_FLAG.unmapZeroes : 0)
  );
}

/** Sized for the descriptors of a whole packed ring. */
function roomForUnfinished(size: number): Uint8Array {
  return new Uint8Array(16 * size);
}

function progressOf(progress: Uint8Array, unfinished: Uint8Array): NativeProgress {
  const { lastAvail, usedIndex, unfinishedBytes } = queueProgressStruct.read(progress);
  return { lastAvail, usedIndex, unfinished: unfinished.slice(0, unfinishedBytes) };
}

/** In the native library's format. */
export function encodeLimits({ operations, operationsBurst, bytes, bytesBurst }: RateLimits): Uint8Array {
  return rateLimitsStruct.encode({
    operations: BigInt(operations),
    operationsBurst: BigInt(operationsBurst),
    bytes: BigInt(bytes),
    bytesBurst: BigInt(bytesBurst),
  });
}

function decode(text: Uint8Array, length: number): string {
  return new TextDecoder().decode(text.subarray(0, Math.min(length, text.length)));
}
