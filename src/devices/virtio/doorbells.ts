import type { Cancel } from '../device.ts';

export type Doorbell = { readonly offset: number; readonly fd: number };

/**
 * Makes the kernel signal the kick eventfds of a function's queues on guest writes to their notification addresses. If the
 * kernel refuses an address (another device has it), the writes reach user space, which signals the eventfd instead.
 */
export class Doorbells {
  readonly #attach: (address: number, fd: number) => Cancel;
  #attached: Cancel[] = [];

  constructor(attach: (address: number, fd: number) => Cancel) {
    this.#attach = attach;
  }

  /** Moves the doorbells to `base`. */
  attach(base: number, doorbells: readonly Doorbell[]): void {
    this.detach();
    for (const { offset, fd } of doorbells) {
      try {
        this.#attached.push(this.#attach(base + offset, fd));
      } catch {
        // The guest moved the BAR over an existing doorbell; user space forwards the kicks.
      }
    }
  }

  detach(): void {
    for (const cancel of this.#attached) cancel();
    this.#attached = [];
  }
}
