import type { Cancel, Clock, EventLoop } from '../../devices/device.ts';
import { EVENT } from '../native/abi.ts';
import type { NativeVm } from '../native/native-vm.ts';
import type { NodeLoop } from '../native/node-loop.ts';
import type { FdWatcher } from './manager-link.ts';
import { Timers } from './timers.ts';
import type { Turns } from './turns.ts';

/** Rounds (a few microseconds each) between timer checks while the loop is never idle. */
const ROUNDS_PER_TIMER_CHECK = 64;

/** The loop is idle once it has had nothing to do for this long. */
const IDLE_NS = 1_000_000_000n;

/** Handlers for each kind of event. */
export type MachineHandlers = {
  /** vCPU `index` has an exit to answer. */
  exit(index: number): void;
  /** vCPU `index` has paused. */
  parked(index: number): void;
  /** vCPU `index` has ended: on request (`errno` 0), because KVM_RUN failed, or because its thread died. */
  vcpuEnded(index: number, errno: number, died: boolean): void;
  /** The queue thread with this handle has given up its queue. */
  queueBroken(handle: number): void;
  /** The queue thread with this handle has met new kinds of disk errors. */
  diskErrors(handle: number): void;
  /** The queue thread with this handle, which was asked to stop, has ended. */
  queueEnded(handle: number): void;
  /** There has been nothing to do for a second, for the first time. */
  idle(): void;
};

/**
 * The machine thread's loop: it sleeps in the native reactor and dispatches each event to its handler. On a thread with an
 * event loop of Node's, it lets that have its turns.
 */
export class MachineLoop implements EventLoop, Clock, FdWatcher {
  readonly #native: NativeVm;
  readonly #timers = new Timers();
  readonly #watchers = new Map<number, (count: number) => void>();
  /** For the fds of `watchFd`. */
  readonly #fdTokens = new Map<number, number>();
  /** Called before the loop waits again. */
  #soon: (() => void)[] = [];
  #nextToken = 1;
  #running = true;
  #wasIdle = false;
  readonly #node: NodeLoop | null;
  #isNodesTurn = false;

  /** @param node the event loop with which it shares its thread; default: it has a thread of its own */
  constructor(native: NativeVm, node: NodeLoop | null = null) {
    this.#native = native;
    this.#node = node;
  }

  watch(fd: number, onSignal: (count: number) => void): Cancel {
    const token = this.#nextToken++;
    this.#watchers.set(token, onSignal);
    this.#native.watchEventFd(fd, token);
    return () => {
      if (this.#watchers.delete(token)) this.#native.unwatch(fd);
    };
  }

  /** Calls back while `fd` is readable, or also writable. Call it again to change that. */
  watchFd(fd: number, writable: boolean, onReady: () => void): void {
    const token = this.#fdTokens.get(fd) ?? this.#nextToken++;
    this.#fdTokens.set(fd, token);
    this.#watchers.set(token, onReady);
    this.#native.watchFd(fd, token, writable);
  }

  unwatchFd(fd: number): void {
    const token = this.#fdTokens.get(fd);
    if (token === undefined) return;
    this.#fdTokens.delete(fd);
    this.#watchers.delete(token);
    this.#native.unwatch(fd);
  }

  soon(callback: () => void): void {
    this.#soon.push(callback);
  }

  now(): bigint {
    return process.hrtime.bigint();
  }

  at(deadline: bigint, callback: () => void): Cancel {
    return this.#timers.at(deadline, callback);
  }

  wallMs(): number {
    return Date.now();
  }

  /** Runs until `stop`. */
  *run(handlers: MachineHandlers): Turns<void> {
    const node = this.#node;
    if (node === null) {
      this.#runRounds(handlers);
      return;
    }
    const { fd } = node;
    this.watchFd(fd, false, () => {
      this.#isNodesTurn = true;
    });
    try {
      while (this.#running) {
        yield;
        this.#isNodesTurn = !node.isQuiet();
        this.#runRounds(handlers);
      }
    } finally {
      this.unwatchFd(fd);
    }
  }

  stop(): void {
    this.#running = false;
  }

  /** Runs until `stop`, or until it is the turn of Node's event loop. */
  #runRounds(handlers: MachineHandlers): void {
    for (let round = 1; this.#running && !this.#isNodesTurn; round++) {
      if (this.#soon.length > 0) this.#callSoon();
      // Those callbacks may have added more, which are no event to wake up for.
      const isBusy = this.#soon.length > 0;
      const timeout = isBusy ? 0n : this.#wasIdle ? null : IDLE_NS;
      const count = this.#native.wait(timeout, this.#nextDeadline());
      for (let i = 0; i < count && this.#running; i++) {
        if (this.#native.eventKind(i) === EVENT.exit) handlers.exit(this.#native.eventIndex(i));
        else this.#dispatch(handlers, i);
      }
      if (count === 0 && !isBusy) this.#nothingHappened(handlers);
      else if (round % ROUNDS_PER_TIMER_CHECK === 0) this.#checkTimers(this.now());
    }
  }

  /** When the next timer is due, its own or Node's. */
  #nextDeadline(): bigint | null {
    const own = this.#timers.next;
    const nodes = this.#node === null ? null : this.#node.deadline;
    if (own === null || nodes === null) return own ?? nodes;
    return own < nodes ? own : nodes;
  }

  #checkTimers(now: bigint): void {
    this.#timers.fire(now);
    const nodes = this.#node === null ? null : this.#node.deadline;
    if (nodes !== null && nodes <= now) this.#isNodesTurn = true;
  }

  #callSoon(): void {
    const callbacks = this.#soon;
    this.#soon = [];
    for (const callback of callbacks) callback();
  }

  /** A timer is due, or there has been nothing to do for a while. */
  #nothingHappened(handlers: MachineHandlers): void {
    const now = this.now();
    const next = this.#nextDeadline();
    if (next !== null && next <= now) {
      this.#checkTimers(now);
    } else if (!this.#wasIdle) {
      this.#wasIdle = true;
      handlers.idle();
    }
  }

  #dispatch(handlers: MachineHandlers, i: number): void {
    const native = this.#native;
    switch (native.eventKind(i)) {
      case EVENT.fd:
        this.#watchers.get(native.eventToken(i))?.(native.eventAux(i));
        break;
      case EVENT.parked:
        handlers.parked(native.eventIndex(i));
        break;
      case EVENT.vcpuEnded:
        handlers.vcpuEnded(native.eventIndex(i), native.eventData(i), native.eventAux(i) !== 0);
        break;
      case EVENT.queueBroken:
        handlers.queueBroken(native.eventIndex(i));
        break;
      case EVENT.diskErrors:
        handlers.diskErrors(native.eventIndex(i));
        break;
      case EVENT.queueEnded:
        handlers.queueEnded(native.eventIndex(i));
        break;
    }
  }
}
