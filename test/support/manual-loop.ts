import type { EventLoop } from '../../src/devices/device.ts';
import { drainEventfd } from '../../src/vmm/native/libc.ts';

/** An event loop that a test turns by hand. */
export class ManualLoop implements EventLoop {
  readonly #soon: (() => void)[] = [];
  readonly #watched = new Map<number, (count: number) => void>();

  watch(fd: number, onSignal: (count: number) => void): () => void {
    this.#watched.set(fd, onSignal);
    return () => this.#watched.delete(fd);
  }

  soon(callback: () => void): void {
    this.#soon.push(callback);
  }

  /** Calls back for every eventfd that is signaled now. */
  run(): void {
    for (const callback of this.#soon.splice(0)) callback();
    for (const [fd, onSignal] of this.#watched) {
      const count = Number(drainEventfd(fd));
      if (count > 0) onSignal(count);
    }
  }
}
