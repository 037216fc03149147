import type { EventLoop } from '../../src/devices/device.ts';
import { drainEventfd } from '../../src/vmm/libc.ts';

/** An event loop that a test turns by hand. */
export class ManualLoop implements EventLoop {
  readonly #watched = new Map<number, () => void>();

  watch(fd: number, onSignal: () => void): () => void {
    this.#watched.set(fd, onSignal);
    return () => this.#watched.delete(fd);
  }

  /** Calls back for every eventfd that is signalled now. */
  run(): void {
    for (const [fd, onSignal] of this.#watched) if (drainEventfd(fd) > 0n) onSignal();
  }
}
