import type { EventLoop } from '../../device.ts';
import type { Msix } from '../../pci/msix.ts';
import type { PciFunction } from '../../pci/pci-function.ts';
import type { CompletionQueue } from './completion-queue.ts';

export type InterruptParts = {
  readonly fn: PciFunction;
  readonly msix: () => Msix;
  readonly events: EventLoop;
  /** INTMS: masks the pin, a bit for each vector. */
  readonly mask: () => number;
  readonly queues: () => Iterable<CompletionQueue>;
};

/**
 * The interrupts of a controller (NVMe base 1.4 §7.5): a message of the queue's vector, or the level of the pin while
 * MSI-X is off. Completions that are written together cause one message.
 */
export class Interrupts {
  readonly #parts: InterruptParts;
  /** Vectors whose messages are to be sent. */
  readonly #due = new Set<number>();
  /** Messages are sent at once: the machine is about to be saved. */
  #isImmediate = false;

  constructor(parts: InterruptParts) {
    this.#parts = parts;
  }

  /** Completions have been written to a queue. */
  written({ options }: CompletionQueue): void {
    if (!options.hasInterrupts) return;
    if (!this.#parts.msix().enabled) {
      this.update();
      return;
    }
    const isFirst = this.#due.size === 0;
    this.#due.add(options.vector);
    if (this.#isImmediate) this.#send();
    else if (isFirst) this.#parts.events.soon(() => this.#send());
  }

  /** Updates the pin. */
  update(): void {
    const { fn, msix, mask, queues } = this.#parts;
    let level = false;
    if (!msix().enabled)
      for (const { hasUnread, options } of queues())
        if (hasUnread && options.hasInterrupts && (mask() & (1 << options.vector)) === 0) level = true;
    fn.setInterrupt(level);
  }

  reset(): void {
    this.#due.clear();
  }

  quiesce(): void {
    this.#isImmediate = true;
    this.#send();
  }

  resume(): void {
    this.#isImmediate = false;
  }

  #send(): void {
    const { vectors } = this.#parts.msix();
    for (const vector of this.#due) vectors[vector]!.signal();
    this.#due.clear();
  }
}
