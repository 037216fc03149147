import type { CounterShape } from '../counters/counters.ts';
import { eventStruct, waitPageStruct } from './abi.ts';
import { checked, nativeAddon, nativeCalls } from './native-library.ts';
import { readText } from './native-text.ts';
import type { ResourceOwner } from './resource-owner.ts';

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
    return readText('vring_vcpu_error', (text, length) =>
      this.#calls.vring_vcpu_error(this.handle, index, text, length),
    );
  }
}
