import type { Cancel } from '../device.ts';

export type Doorbell = { readonly offset: number; readonly fd: number };

/**
 * Makes the kernel signal the kick eventfds of a function's queues on guest writes to their notification addresses. If
 * the kernel refuses an address (another device uses it), the writes reach user space, which signals the eventfd
 * instead.
 */
export class Doorbells {
  readonly #attach: (address: number, fd: number) => Cancel;
  /** By address. */
  readonly #attached = new Map<number, { readonly fd: number; readonly cancel: Cancel }>();

  constructor(attach: (address: number, fd: number) => Cancel) {
    this.#attach = attach;
  }

  /** Attaches exactly these doorbells, at `base`. */
  place(base: number, doorbells: readonly Doorbell[]): void {
    const wanted = new Map(doorbells.map(({ offset, fd }) => [base + offset, fd]));
    for (const [address, { fd, cancel }] of this.#attached) {
      if (wanted.get(address) === fd) continue;
      this.#attached.delete(address);
      cancel();
    }
    for (const [address, fd] of wanted) {
      if (this.#attached.has(address)) continue;
      try {
        this.#attached.set(address, { fd, cancel: this.#attach(address, fd) });
      } catch {
        // The guest moved the BAR over an existing doorbell; user space forwards the kicks.
      }
    }
  }

  detach(): void {
    this.place(0, []);
  }
}
