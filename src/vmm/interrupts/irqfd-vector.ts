import type { MsiMessage, MsiVector } from '../../devices/device.ts';
import type { VmFd } from '../kvm/vm-fd.ts';
import { drainEventfd } from '../native/libc.ts';
import { type GsiRouting, sameMessage } from './gsi-routing.ts';

type VectorVm = Pick<VmFd, 'assignIrqfd' | 'deassignIrqfd' | 'signalMsi'>;

/**
 * One MSI vector. While it has a message, its eventfds are irqfds: KVM sends the message when one is signaled. While it has
 * none, a signal stays in the eventfd's count, where `pending` finds it; KVM delivers it when the eventfd becomes an irqfd
 * again.
 */
export class IrqfdVector implements MsiVector {
  readonly #vm: VectorVm;
  readonly #routing: GsiRouting;
  readonly #gsi: number;
  readonly #fds = new Set<number>();
  /** The members of `#fds` that are irqfds. */
  readonly #armed = new Set<number>();
  #message: MsiMessage | null = null;
  /** A signal that was drained from its eventfd. */
  #latched = false;

  constructor(vm: VectorVm, routing: GsiRouting) {
    this.#vm = vm;
    this.#routing = routing;
    this.#gsi = routing.allocateMsiGsi();
  }

  configure(message: MsiMessage | null): void {
    if (sameMessage(this.#message, message)) return;
    this.#disarm();
    this.#message = message;
    if (message === null) return;
    if (this.#latched) {
      this.#latched = false;
      this.#vm.signalMsi(message);
    }
    this.#arm();
  }

  get pending(): boolean {
    if (this.#message === null) this.#collect();
    return this.#latched;
  }

  clearPending(): void {
    this.#collect();
    this.#latched = false;
  }

  signal(): void {
    if (this.#message === null) this.#latched = true;
    else this.#vm.signalMsi(this.#message);
  }

  connect(fd: number): void {
    this.#fds.add(fd);
    this.#arm();
  }

  disconnect(fd: number): void {
    if (!this.#fds.has(fd)) return;
    if (this.#armed.delete(fd)) this.#vm.deassignIrqfd(fd, this.#gsi);
    else if (drainEventfd(fd) > 0n) this.signal();
    this.#fds.delete(fd);
  }

  #arm(): void {
    if (this.#message === null || this.#fds.size === this.#armed.size) return;
    this.#routing.route(this.#gsi, this.#message, () => {
      for (const fd of this.#fds) {
        if (this.#armed.has(fd)) continue;
        this.#vm.assignIrqfd(fd, this.#gsi);
        this.#armed.add(fd);
      }
    });
  }

  #disarm(): void {
    this.#routing.cancel(this.#gsi);
    for (const fd of this.#armed) this.#vm.deassignIrqfd(fd, this.#gsi);
    this.#armed.clear();
  }

  /** Drains the eventfds that are not irqfds. */
  #collect(): void {
    for (const fd of this.#fds) {
      if (!this.#armed.has(fd) && drainEventfd(fd) > 0n) this.#latched = true;
    }
  }
}
