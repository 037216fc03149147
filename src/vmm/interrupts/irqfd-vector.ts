import type { Cancel, EventLoop, MsiMessage, MsiVector } from '../../devices/device.ts';
import type { VmFd } from '../kvm/vm-fd.ts';
import { drainEventfd } from '../native/libc.ts';
import { type GsiRouting, sameMessage } from './gsi-routing.ts';

/** State shared by the vectors of a VM. */
export type VectorContext = {
  readonly vm: Pick<VmFd, 'assignIrqfd' | 'deassignIrqfd' | 'signalMsi'>;
  readonly routing: GsiRouting;
  readonly events: EventLoop;
  /** Called if a vector got no route because KVM's table is full. */
  readonly onFull: () => void;
};

/**
 * One MSI vector. While it has a message, its eventfds are irqfds: KVM sends the message when one is signaled. While it
 * has none, a signal stays in the eventfd's count, where `pending` finds it; KVM delivers it once the eventfd is an
 * irqfd again. A vector takes a GSI when its first irqfd needs one. If there is none left, the machine thread waits for
 * the eventfds and sends the messages, which needs no route.
 */
export class IrqfdVector implements MsiVector {
  readonly #context: VectorContext;
  #gsi: number | null = null;
  readonly #fds = new Set<number>();
  /** The members of `#fds` that are irqfds or are watched by the machine thread, and how to stop that. */
  readonly #armed = new Map<number, Cancel>();
  #message: MsiMessage | null = null;
  /** A signal that was drained from its eventfd. */
  #latched = false;
  #released = false;

  constructor(context: VectorContext) {
    this.#context = context;
  }

  configure(message: MsiMessage | null): void {
    this.#checkInUse();
    if (sameMessage(this.#message, message)) return;
    this.#disarm();
    this.#message = message;
    if (message === null) return;
    if (this.#latched) {
      this.#latched = false;
      this.#context.vm.signalMsi(message);
    }
    this.#arm(message);
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
    this.#checkInUse();
    if (this.#message === null) this.#latched = true;
    else this.#context.vm.signalMsi(this.#message);
  }

  connect(fd: number): void {
    this.#checkInUse();
    this.#fds.add(fd);
    if (this.#message !== null) this.#arm(this.#message);
  }

  disconnect(fd: number): void {
    if (!this.#fds.delete(fd)) return;
    const disarm = this.#armed.get(fd);
    this.#armed.delete(fd);
    if (disarm !== undefined) disarm();
    else if (drainEventfd(fd) > 0n) this.signal();
  }

  release(): void {
    if (this.#released) return;
    this.#disarm();
    this.#fds.clear();
    this.#message = null;
    this.#latched = false;
    if (this.#gsi !== null) this.#context.routing.free(this.#gsi);
    this.#gsi = null;
    this.#released = true;
  }

  #arm(message: MsiMessage): void {
    if (this.#fds.size === this.#armed.size) return;
    const { vm, routing, events, onFull } = this.#context;
    this.#gsi ??= routing.allocate();
    const gsi = this.#gsi;
    if (gsi === null) {
      onFull();
      for (const fd of this.#unarmed())
        this.#armed.set(
          fd,
          events.watch(fd, () => this.signal()),
        );
      return;
    }
    routing.route(gsi, message, () => {
      for (const fd of this.#unarmed()) {
        vm.assignIrqfd(fd, gsi);
        this.#armed.set(fd, () => vm.deassignIrqfd(fd, gsi));
      }
    });
  }

  #disarm(): void {
    if (this.#gsi !== null) this.#context.routing.cancel(this.#gsi);
    for (const disarm of this.#armed.values()) disarm();
    this.#armed.clear();
  }

  /** Drains the eventfds that are not irqfds. */
  #collect(): void {
    for (const fd of this.#unarmed()) if (drainEventfd(fd) > 0n) this.#latched = true;
  }

  #unarmed(): number[] {
    return [...this.#fds].filter(fd => !this.#armed.has(fd));
  }

  #checkInUse(): void {
    if (this.#released) throw new Error('an MSI vector was used after its release');
  }
}
