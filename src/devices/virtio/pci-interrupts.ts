import type { Cancel, DeviceState, EventLoop } from '../device.ts';
import type { Msix } from '../pci/msix.ts';
import type { PciFunction } from '../pci/pci-function.ts';
import { bytesOf, DeviceStateError, numberOf } from '../state.ts';
import { NO_VECTOR } from './features.ts';
import type { QueueSetup } from './queue-setup.ts';

/** Bits of the ISR status (virtio 1.3 §4.1.4.5). */
const ISR = { queue: 0x1, config: 0x2 } as const;

/** The destination of a queue's call eventfd: an MSI-X vector, the INTx pin, or nothing. */
type Route = number | 'pin' | null;

/**
 * A virtio function's interrupts (virtio 1.3 §4.1.4.5, §4.1.5.1.2). With MSI-X, the call eventfd of each queue is
 * connected to the vector that the driver chose, bypassing user space; without, the machine thread watches the
 * eventfds, sets the ISR and raises the pin.
 */
export class VirtioPciInterrupts {
  readonly #function: PciFunction;
  readonly #events: EventLoop;
  readonly #queues: { readonly setup: QueueSetup; vector: number; route: Route; cancel: Cancel | null }[];
  #msix: Msix | null = null;
  #configVector = NO_VECTOR;
  #isr = 0;

  constructor(fn: PciFunction, events: EventLoop, queues: readonly QueueSetup[]) {
    this.#function = fn;
    this.#events = events;
    this.#queues = queues.map(setup => ({ setup, vector: NO_VECTOR, route: null, cancel: null }));
  }

  /** Uses `msix` from now on, or only the pin; call it when the function is complete. */
  start(msix: Msix | null): void {
    this.#msix = msix;
    this.update();
  }

  get configVector(): number {
    return this.#configVector;
  }

  setConfigVector(vector: number): void {
    this.#configVector = this.#existing(vector);
  }

  queueVector(queue: number): number {
    return this.#queues[queue]?.vector ?? NO_VECTOR;
  }

  setQueueVector(queue: number, vector: number): void {
    this.#queues[queue]!.vector = this.#existing(vector);
    this.#updateRoute(queue);
  }

  /** Notifies the driver of a config change. */
  configChanged(): void {
    if (this.#msix?.enabled) this.#msix.vectors[this.#configVector]?.signal();
    else this.#raise(ISR.config);
  }

  /** The driver's read of the ISR status, which clears it and lowers the pin. */
  readIsr(): number {
    const isr = this.#isr;
    this.#isr = 0;
    this.#function.setInterrupt(false);
    return isr;
  }

  /** MSI-X was enabled or disabled. */
  update(): void {
    if (this.#msix?.enabled) this.readIsr();
    for (let queue = 0; queue < this.#queues.length; queue++) this.#updateRoute(queue);
  }

  /** A reset of the virtio device: vectors unbound, nothing pending. */
  reset(): void {
    this.#configVector = NO_VECTOR;
    for (let queue = 0; queue < this.#queues.length; queue++) this.setQueueVector(queue, NO_VECTOR);
    for (const vector of this.#msix?.vectors ?? []) vector.clearPending();
    this.readIsr();
  }

  /** From now on, signals of the call eventfds are ignored. */
  close(): void {
    for (const queue of this.#queues) {
      queue.cancel?.();
      queue.cancel = null;
    }
  }

  save(): DeviceState {
    const vectors = Uint16Array.from(this.#queues, queue => queue.vector);
    return {
      isr: this.#isr,
      configVector: this.#configVector,
      vectors: new Uint8Array(vectors.buffer),
    };
  }

  load(state: DeviceState): void {
    const vectors = bytesOf(state, 'vectors');
    if (vectors.length !== 2 * this.#queues.length) {
      throw new DeviceStateError('vectors', `list of ${this.#queues.length} vectors`);
    }
    this.setConfigVector(numberOf(state, 'configVector', NO_VECTOR));
    this.#isr = numberOf(state, 'isr', 0xff);
    for (const [i, queue] of this.#queues.entries()) {
      queue.vector = this.#existing(vectors[2 * i]! | (vectors[2 * i + 1]! << 8));
    }
    for (let queue = 0; queue < this.#queues.length; queue++) this.#updateRoute(queue);
  }

  /** A vector that does not exist can't be bound: the driver reads back "no vector". */
  #existing(vector: number): number {
    return this.#msix !== null && vector < this.#msix.vectors.length ? vector : NO_VECTOR;
  }

  #raise(bit: number): void {
    this.#isr |= bit;
    this.#function.setInterrupt(true);
  }

  #updateRoute(index: number): void {
    const queue = this.#queues[index]!;
    const vectors = this.#msix?.enabled ? this.#msix.vectors : null;
    const route: Route = vectors === null ? 'pin' : queue.vector === NO_VECTOR ? null : queue.vector;
    if (route === queue.route) return;
    queue.cancel?.();
    queue.cancel = null;
    queue.route = route;
    const { callFd } = queue.setup.resources;
    if (route === 'pin') {
      queue.cancel = this.#events.watch(callFd, () => {
        // After a reset there may be no driver to lower the pin again.
        if (queue.setup.enabled) this.#raise(ISR.queue);
      });
    } else if (route !== null) {
      const vector = vectors![route]!;
      vector.connect(callFd);
      queue.cancel = () => vector.disconnect(callFd);
    }
  }
}
