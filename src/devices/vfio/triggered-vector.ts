import type { Cancel, MsiMessage, MsiVector } from '../device.ts';
import type { MachineServices } from '../machine-services.ts';

export type VectorServices = Pick<MachineServices, 'allocateMsi' | 'eventFds' | 'events'>;

/**
 * A vector whose messages are triggered by the device's interrupts: they signal an eventfd, which the kernel turns into
 * the message. The eventfd exists from when the guest first unmasks the vector until the interrupt is disabled.
 */
export class TriggeredVector implements MsiVector {
  readonly #inner: MsiVector;
  readonly #services: VectorServices;
  readonly #inKernel: boolean;
  readonly #onArmed: () => void;
  #fd: number | null = null;
  #unwatch: Cancel | null = null;

  /**
   * @param inKernel false if the machine thread forwards interrupts @param onArmed it now has an eventfd, to be
   * connected to the device
   */
  constructor(services: VectorServices, inKernel: boolean, onArmed: () => void) {
    this.#services = services;
    this.#inKernel = inKernel;
    this.#onArmed = onArmed;
    this.#inner = services.allocateMsi();
  }

  /** The eventfd that the device signals; null while the vector is not in use. */
  get fd(): number | null {
    return this.#fd;
  }

  configure(message: MsiMessage | null): void {
    if (message !== null) this.arm();
    this.#inner.configure(message);
  }

  get pending(): boolean {
    return this.#inner.pending;
  }

  clearPending(): void {
    this.#inner.clearPending();
  }

  signal(): void {
    this.#inner.signal();
  }

  connect(fd: number): void {
    this.#inner.connect(fd);
  }

  disconnect(fd: number): void {
    this.#inner.disconnect(fd);
  }

  arm(): void {
    if (this.#fd !== null) return;
    const fd = this.#services.eventFds.create();
    this.#fd = fd;
    if (this.#inKernel) this.#inner.connect(fd);
    else this.#unwatch = this.#services.events.watch(fd, () => this.#inner.signal());
    this.#onArmed();
  }

  /** The device no longer signals it. Pending signals are lost, as when a device's interrupt is disabled. */
  disarm(): void {
    const fd = this.#fd;
    if (fd === null) return;
    this.#fd = null;
    this.#unwatch?.();
    this.#unwatch = null;
    if (this.#inKernel) this.#inner.disconnect(fd);
    this.#services.eventFds.close(fd);
    this.#inner.clearPending();
  }

  release(): void {
    this.disarm();
    this.#inner.release();
  }
}
