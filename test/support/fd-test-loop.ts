import type { FdLoop } from '../../src/vmm/backends/char/fd-char.ts';
import { waitForFds } from '../../src/vmm/native/unix-socket.ts';

/** A loop that the test turns. */
export class FdTestLoop implements FdLoop {
  readonly #watched = new Map<number, { writable: boolean; onReady: () => void }>();
  #timers: (() => void)[] = [];

  watchFd(fd: number, writable: boolean, onReady: () => void): void {
    this.#watched.set(fd, { writable, onReady });
  }

  unwatchFd(fd: number): void {
    this.#watched.delete(fd);
  }

  now(): bigint {
    return process.hrtime.bigint();
  }

  at(_deadline: bigint, callback: () => void) {
    this.#timers.push(callback);
    return () => {
      this.#timers = this.#timers.filter(timer => timer !== callback);
    };
  }

  get watched(): number {
    return this.#watched.size;
  }

  /** Timers are due immediately. */
  turn(): void {
    for (const timer of this.#timers.splice(0)) timer();
    const awaited = [...this.#watched].map(([fd, { writable }]) => ({ fd, writable }));
    for (const fd of awaited.length === 0 ? [] : waitForFds(awaited, 0)) this.#watched.get(fd)?.onReady();
  }
}
