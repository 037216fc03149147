import type { DeviceState } from '../device.ts';
import type { GuestMemory } from '../guest-memory.ts';
import { numberOf, statesOf } from '../state.ts';
import { FEATURE, STATUS, TRANSPORT_FEATURES } from './features.ts';
import type { QueueSetup } from './queue-setup.ts';
import type { VirtioDevice } from './virtio-device.ts';

export type LifecycleEvents = {
  /** The device starts or stops using its queues. */
  readonly onActive: (active: boolean) => void;
  /** Notifies the driver of a config change. */
  readonly onConfigInterrupt: () => void;
  /** Resets everything that the transport keeps for the driver. */
  readonly onReset: () => void;
  /** Reports to the user why the device stopped. */
  readonly onBroken: (reason: string) => void;
};

/**
 * The transport-independent state machine between a driver and a device: status, features and queues (virtio 1.3 §2.1, §2.2
 * and §3.1), and the resulting activation and deactivation of the device.
 */
export class VirtioLifecycle {
  readonly device: VirtioDevice;
  readonly queues: readonly QueueSetup[];
  readonly offered: bigint;
  readonly #memory: GuestMemory;
  readonly #events: LifecycleEvents;
  #status = 0;
  #accepted = 0n;
  #generation = 0;
  /** The device has its queues. */
  #active = false;
  #activating = false;
  /** Incremented by each activation and deactivation, to ignore late reports about a previous activation. */
  #epoch = 0;
  #failure: string | null = null;

  constructor(
    device: VirtioDevice,
    queues: readonly QueueSetup[],
    memory: GuestMemory,
    events: LifecycleEvents,
  ) {
    this.device = device;
    this.queues = queues;
    this.offered = device.features | TRANSPORT_FEATURES;
    this.#memory = memory;
    this.#events = events;
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
    if ((this.#status & STATUS.featuresOk) === 0) this.#accepted = bits;
  }

  get active(): boolean {
    return this.#active;
  }

  /** Whether queues may still be set up: until DRIVER_OK, and not after a failure. */
  get configurable(): boolean {
    return (this.#status & (STATUS.driverOk | STATUS.needsReset)) === 0;
  }

  /** The driver's write to the status: 0 resets, other values add bits in the order of §3.1.1. */
  writeStatus(value: number): void {
    if (value === 0) {
      this.reset();
      return;
    }
    const added = value & ~this.#status;
    this.#status |= added & (STATUS.acknowledge | STATUS.driver | STATUS.failed);
    if (added & STATUS.featuresOk && this.#status & STATUS.driver && this.#acceptable()) {
      this.#status |= STATUS.featuresOk;
    }
    if (added & STATUS.driverOk && this.#status & STATUS.featuresOk) {
      this.#status |= STATUS.driverOk;
      if ((this.#status & STATUS.needsReset) === 0) this.#activate();
    }
  }

  /** The driver's write of 1 to a queue's enable register. */
  enableQueue(queue: QueueSetup): void {
    if (queue.enabled || !this.configurable) return;
    const problem = queue.problem(this.#memory);
    if (problem === null) queue.enabled = true;
    else this.fail(problem);
  }

  /** The driver violated the protocol, or the device can't continue: sets NEEDS_RESET until the driver resets. */
  fail(reason: string): void {
    if (this.#activating) {
      this.#failure ??= reason;
      return;
    }
    if (this.#status & STATUS.needsReset) return;
    this.#status |= STATUS.needsReset;
    this.#deactivate();
    this.#events.onBroken(reason);
    if (this.#status & STATUS.driverOk) this.#events.onConfigInterrupt();
  }

  reset(): void {
    this.#deactivate();
    this.#status = 0;
    this.#accepted = 0n;
    for (const queue of this.queues) queue.reset();
    this.#events.onReset();
  }

  /** Takes the queues from the device, which can then be saved. */
  quiesce(done: () => void): void {
    this.#deactivate();
    done();
  }

  /** Gives the queues back after `quiesce` or `load`. */
  resume(): void {
    const usable = (this.#status & STATUS.driverOk) !== 0 && (this.#status & STATUS.needsReset) === 0;
    if (usable && !this.#active) this.#activate();
  }

  /** The device must be quiesced. */
  save(): DeviceState {
    return {
      status: this.#status,
      accepted: this.#accepted,
      generation: this.#generation,
      queues: this.queues.map(queue => queue.save()),
    };
  }

  /** Leaves the device quiesced. The state is checked like a driver's: it may come from another machine. */
  load(state: DeviceState): void {
    this.#deactivate();
    const { accepted } = state;
    if (typeof accepted !== 'bigint' || (accepted & ~this.offered) !== 0n) {
      throw new Error(`${this.device.name}: the saved driver uses features that this device does not offer`);
    }
    this.#accepted = accepted;
    this.#status = numberOf(state, 'status', 0xff);
    this.#generation = numberOf(state, 'generation', 0xff);
    const saved = statesOf(state, 'queues', this.queues.length);
    for (const [i, queue] of this.queues.entries()) {
      queue.load(saved[i]!);
      const problem = queue.enabled ? queue.problem(this.#memory) : null;
      if (problem !== null) throw new Error(`${this.device.name}: saved ${problem}`);
    }
  }

  #acceptable(): boolean {
    return (this.#accepted & ~this.offered) === 0n && (this.#accepted & FEATURE.version1) !== 0n;
  }

  #configChanged(): void {
    this.#generation = (this.#generation + 1) & 0xff;
    this.#events.onConfigInterrupt();
  }

  #activate(): void {
    this.#activating = true;
    const epoch = ++this.#epoch;
    const during = (action: () => void) => {
      if (epoch === this.#epoch) action();
    };
    try {
      this.device.activate({
        features: this.#accepted,
        queues: this.queues.filter(queue => queue.enabled).map(queue => queue.describe()),
        configChanged: () => during(() => this.#configChanged()),
        broken: reason => during(() => this.fail(reason)),
      });
    } catch (error) {
      this.#failure = error instanceof Error ? error.message : String(error);
    }
    this.#activating = false;
    this.#active = true;
    const failure = this.#failure;
    this.#failure = null;
    if (failure === null) this.#events.onActive(true);
    else this.fail(failure);
  }

  #deactivate(): void {
    if (!this.#active) return;
    this.#active = false;
    this.#epoch++;
    this.#events.onActive(false);
    const progress = this.device.deactivate();
    const enabled = this.queues.filter(queue => queue.enabled);
    for (const [i, queue] of enabled.entries()) queue.progress = progress[i] ?? queue.progress;
  }
}
