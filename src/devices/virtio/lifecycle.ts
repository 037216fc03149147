import type { DeviceState } from '../device.ts';
import type { GuestMemory } from '../guest-memory.ts';
import { DeviceStateError, numberOf, statesOf } from '../state.ts';
import { FEATURE, STATUS } from './features.ts';
import type { QueueSetup } from './queue-setup.ts';
import { RunningQueues } from './running-queues.ts';
import type { VirtioDevice } from './virtio-device.ts';

/**
 * How long, in milliseconds, a driver's reset may block the machine thread, so that drivers find the device reset
 * immediately: some don't wait for it. A slower back end is drained in the background.
 */
const RESET_PATIENCE = 10;

/** How long, in milliseconds, a queue may take to stop when its machine ends, before it is abandoned. */
const END_PATIENCE = 1000;

const KNOWN_STATUS = Object.values(STATUS).reduce((all, bit) => all | bit, 0);

export type LifecycleEvents = {
  /** `serves` may have changed for some queues. */
  readonly onServing: () => void;
  /** Notifies the driver of a config change. */
  readonly onConfigInterrupt: () => void;
  /** Resets all driver state that the transport keeps. */
  readonly onReset: () => void;
  /** Resets the transport's state of one queue. */
  readonly onQueueReset: (queue: QueueSetup) => void;
  /** Reports to the user why the device stopped. */
  readonly onBroken: (reason: string) => void;
};

/**
 * The transport-independent state machine between a driver and a device: status, features and queues (virtio 1.3 §2.1,
 * §2.2, §2.6.1 and §3.1), and which queues the device serves.
 *
 * Queues stop asynchronously, since the host may delay a request for any time. Until they have stopped, the device
 * *drains*: a driver that has reset it reads the old status (§4.1.4.3.2), and quiescing the device waits.
 */
export class VirtioLifecycle {
  readonly device: VirtioDevice;
  readonly queues: readonly QueueSetup[];
  readonly offered: bigint;
  readonly #memory: GuestMemory;
  readonly #events: LifecycleEvents;
  readonly #running: RunningQueues;
  #status = 0;
  #accepted = 0n;
  #generation = 0;
  /** The driver has reset the device, which still drains. */
  #resetting = false;
  #quiesced = false;
  /** The transport permits the device to access memory. */
  #busMaster = true;
  /** Callbacks of `quiesce`, while the device drains. */
  #onQuiesced: (() => void)[] = [];

  constructor(
    device: VirtioDevice,
    queues: readonly QueueSetup[],
    memory: GuestMemory,
    events: LifecycleEvents,
  ) {
    this.device = device;
    this.queues = queues;
    this.offered = device.features | device.transportFeatures | FEATURE.version1;
    this.#memory = memory;
    this.#events = events;
    this.#running = new RunningQueues(device, {
      stopped: queue => this.#stopped(queue),
      broken: (queue, reason) => {
        // A driver's own reset ends its violation.
        if (!this.#resetting && !queue.resetting) this.fail(reason);
      },
    });
  }

  get status(): number {
    return this.#status;
  }

  /** Counts the config changes the device made, so that a driver can read consistently (virtio 1.3 §2.5.1). */
  get generation(): number {
    return this.#generation;
  }

  /** Feature bits the driver has written. */
  get accepted(): bigint {
    return this.#accepted;
  }

  /** Features are final once FEATURES_OK is set. */
  set accepted(bits: bigint) {
    if (!this.#resetting && (this.#status & STATUS.featuresOk) === 0) this.#accepted = bits;
  }

  negotiated(feature: bigint): boolean {
    return (this.#status & STATUS.featuresOk) !== 0 && (this.#accepted & feature) !== 0n;
  }

  /**
   * The driver has reset the device, and must wait until it reads a status of 0: until then its other writes are
   * ignored.
   */
  get resetting(): boolean {
    return this.#resetting;
  }

  /** Queues have been asked to stop, and have not stopped yet. */
  get draining(): boolean {
    return this.#running.draining;
  }

  /** Whether the driver may notify the device of buffers in this queue. */
  serves(queue: QueueSetup): boolean {
    return this.#usable && queue.enabled && !queue.resetting;
  }

  /** Whether a queue's size and addresses may change: until it is enabled, and not after a failure. */
  configurable(queue: QueueSetup): boolean {
    const closed = STATUS.needsReset | (this.negotiated(FEATURE.ringReset) ? 0 : STATUS.driverOk);
    return (this.#status & closed) === 0 && !this.#resetting && !queue.enabled;
  }

  /**
   * The driver's write to the status: 0 resets, other values add bits. FEATURES_OK must precede DRIVER_OK (§3.1.1), but
   * DRIVER need not come first: iPXE omits it when it reopens a card that it has reset.
   */
  writeStatus(value: number): void {
    if (this.#resetting) return;
    if (value === 0) {
      this.#beginReset();
      return;
    }
    const added = value & ~this.#status;
    this.#status |= added & (STATUS.acknowledge | STATUS.driver | STATUS.failed);
    if (added & STATUS.featuresOk && this.#acceptable()) {
      this.#status |= STATUS.featuresOk;
      this.device.negotiated?.(this.#accepted);
    }
    if (added & STATUS.driverOk && this.#status & STATUS.featuresOk) {
      this.#status |= STATUS.driverOk;
      this.#startQueues();
    }
  }

  /** The driver's write of 1 to a queue's enable register. */
  enableQueue(queue: QueueSetup): void {
    if (!this.configurable(queue)) return;
    const problem = queue.problem(this.#memory, this.#packed);
    if (problem !== null) {
      this.fail(problem);
      return;
    }
    queue.enabled = true;
    this.#startQueues();
  }

  /** The driver's write of 1 to a queue's reset register (§2.6.1). */
  resetQueue(queue: QueueSetup): void {
    if (!this.negotiated(FEATURE.ringReset) || this.#resetting || !queue.enabled || queue.resetting) return;
    queue.resetting = true;
    this.#running.stop([queue]);
    this.#events.onServing();
    this.#running.settle(RESET_PATIENCE);
    if (queue.resetting && !this.#running.has(queue)) this.#finishQueueReset(queue);
  }

  /** The driver violated the protocol, or the device can't continue: sets NEEDS_RESET until the driver resets. */
  fail(reason: string): void {
    if (this.#status & STATUS.needsReset) return;
    this.#status |= STATUS.needsReset;
    this.#running.stop(this.queues);
    this.#events.onServing();
    this.#events.onBroken(reason);
    if (this.#status & STATUS.driverOk) this.#events.onConfigInterrupt();
  }

  /** The device has changed its config space. */
  configChanged(): void {
    this.#generation = (this.#generation + 1) & 0xff;
    if (this.#usable) this.#events.onConfigInterrupt();
  }

  /** Restores the power-on state. The device must be drained. */
  reset(): void {
    this.#requireDrained('reset');
    this.#generation = 0;
    this.#finishReset();
  }

  /** Stops the device's queues. `done` is called when it has drained, unless `resume` comes first. */
  quiesce(done: () => void): void {
    this.#quiesced = true;
    this.#onQuiesced.push(done);
    this.#running.stop(this.queues);
    this.#drained();
  }

  /** Restarts the queues after `quiesce` or `load`. */
  resume(): void {
    this.#quiesced = false;
    this.#onQuiesced = [];
    this.#startQueues();
  }

  /**
   * Whether the device may access memory: otherwise it takes no buffers, and continues later where it stopped. A kernel
   * that is about to start another one revokes this for devices whose drivers it does not stop.
   */
  set busMaster(allowed: boolean) {
    if (allowed === this.#busMaster) return;
    this.#busMaster = allowed;
    if (allowed) this.#startQueues();
    else this.#running.stop(this.queues);
  }

  /**
   * Ends the device with its machine, or when it is unplugged. @returns the queues that the host delays, which are
   * abandoned
   */
  close(): ReadonlySet<QueueSetup> {
    this.#quiesced = true;
    this.#onQuiesced = [];
    return this.#running.abandon(END_PATIENCE);
  }

  /** The device must be quiesced. */
  save(): DeviceState {
    this.#requireDrained('saved');
    return {
      status: this.#status,
      accepted: this.#accepted,
      generation: this.#generation,
      queues: this.queues.map(queue => queue.save(this.#packed)),
    };
  }

  /**
   * Leaves the device quiesced. The state is checked like a driver's: it may come from another machine.
   * @throws DeviceStateError
   */
  load(state: DeviceState): void {
    this.#requireDrained('loaded');
    const { accepted } = state;
    const status = numberOf(state, 'status', 0xff);
    if (typeof accepted !== 'bigint' || accepted < 0n || accepted >= 2n ** 64n) {
      throw new DeviceStateError('accepted', 'feature bits');
    }
    const final = (status & STATUS.featuresOk) !== 0;
    if (final && !this.#acceptable(accepted)) {
      throw new DeviceStateError(
        `${this.device.name}: the saved driver uses features that this device does not offer`,
      );
    }
    if ((status & ~KNOWN_STATUS) !== 0 || (status & STATUS.driverOk && !final)) {
      throw new DeviceStateError('status', 'status that a driver can reach');
    }
    const saved = statesOf(state, 'queues', this.queues.length);
    const generation = numberOf(state, 'generation', 0xff);
    this.#quiesced = true;
    this.#finishReset();
    this.#accepted = accepted;
    this.#status = status;
    this.#generation = generation;
    for (const [i, queue] of this.queues.entries()) {
      queue.load(saved[i]!, this.#packed);
      // Until DRIVER_OK, the driver may still correct errors.
      const started = queue.enabled && (status & STATUS.driverOk) !== 0;
      if (!started) queue.progress = null;
      const problem = started ? queue.problem(this.#memory, this.#packed) : null;
      if (problem !== null) throw new DeviceStateError(`${this.device.name}: saved ${problem}`);
    }
    if (final) this.device.negotiated?.(accepted);
    this.#events.onServing();
  }

  get #packed(): boolean {
    return this.negotiated(FEATURE.ringPacked);
  }

  /** The driver has finished its setup, and neither side has failed. */
  get #usable(): boolean {
    return (this.#status & (STATUS.driverOk | STATUS.needsReset)) === STATUS.driverOk && !this.#resetting;
  }

  #acceptable(bits = this.#accepted): boolean {
    return (bits & ~this.offered) === 0n && (bits & FEATURE.version1) !== 0n;
  }

  #requireDrained(what: string): void {
    if (this.#running.any) throw new Error(`${this.device.name} cannot be ${what} while it uses its queues`);
  }

  /** Starts every queue that the device may serve now. */
  #startQueues(): void {
    if (!this.#quiesced && this.#busMaster) {
      for (const queue of this.queues) {
        // A queue that is still draining is started when it has stopped.
        if (this.serves(queue) && !this.#running.has(queue)) this.#start(queue);
      }
    }
    this.#events.onServing();
  }

  #start(queue: QueueSetup): void {
    // The driver may have selected other features since it enabled the queue.
    const problem = queue.problem(this.#memory, this.#packed);
    if (problem === null) this.#running.start(queue, queue.describe(this.#packed), this.#accepted);
    else this.fail(problem);
  }

  #beginReset(): void {
    this.#resetting = true;
    this.#running.stop(this.queues);
    this.#events.onServing();
    this.#running.settle(RESET_PATIENCE);
    this.#drained();
  }

  #stopped(queue: QueueSetup): void {
    if (queue.resetting) this.#finishQueueReset(queue);
    this.#drained();
  }

  /** Continues with what waits for the queues to stop, if they have. */
  #drained(): void {
    if (!this.#running.draining) {
      if (this.#resetting) this.#finishReset();
      for (const done of this.#onQuiesced.splice(0)) done();
    }
    // `resume` may have been called before they had stopped.
    this.#startQueues();
  }

  #finishQueueReset(queue: QueueSetup): void {
    queue.reset();
    this.#events.onQueueReset(queue);
  }

  #finishReset(): void {
    this.#resetting = false;
    this.#status = 0;
    this.#accepted = 0n;
    for (const queue of this.queues) queue.reset();
    this.device.negotiated?.(0n);
    this.#events.onReset();
    this.#events.onServing();
  }
}
