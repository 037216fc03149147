import type { Device } from '../../devices/device.ts';
import type { VcpuGroup } from '../cpu/vcpu-group.ts';

/** Events that a holder may wait for. */
export type HoldEvents = {
  /** All of it has stopped: it may be saved, loaded and reset. Late or never while a back end does not respond. */
  readonly quiesced?: () => void;
};

/** Ends a hold, whose event then no longer comes. May be called more than once. */
export type Release = () => void;

export type QuiescenceOptions = {
  readonly vcpus: VcpuGroup;
  readonly devices: () => readonly Device[];
  /** Called before the vCPUs of a machine that has run continue. */
  readonly beforeResume: () => void;
  /** The machine has begun to run, its vCPUs have stopped, or another device has. */
  readonly onChange: () => void;
};

/** `parking`: vCPUs are asked to leave the guest. `draining`: they have, and some device has not stopped. */
type Phase = 'running' | 'parking' | 'draining' | 'quiesced';

/**
 * Whether a machine runs: it does while nothing holds it. A pause, a reset and a snapshot each hold it while they need
 * it stopped, independently of each other. Stopping takes two steps: vCPUs park first, because they may be in the
 * middle of an access to a device, then each device stops its queues and timers. Nothing here blocks.
 */
export class Quiescence {
  readonly #options: QuiescenceOptions;
  readonly #holds = new Set<HoldEvents>();
  /** Holds that have been notified that it is quiesced. */
  readonly #notified = new WeakSet<HoldEvents>();
  /** Between `occupy` and its end. */
  #isOccupied = false;
  #phase: Phase = 'quiesced';
  /** Devices that have not stopped. */
  readonly #draining = new Set<Device>();
  /** Incremented by each resume: reports about an earlier stop come too late. */
  #epoch = 0;
  #hasRun = false;
  #hasEnded = false;

  /** The machine has not run yet: hold it from the start. */
  constructor(options: QuiescenceOptions) {
    this.#options = options;
  }

  /** Whether vCPUs run, or are about to. */
  get running(): boolean {
    return this.#phase === 'running';
  }

  /** Whether no vCPU runs. */
  get parked(): boolean {
    return this.#phase === 'draining' || this.#phase === 'quiesced';
  }

  /** Whether all of it has stopped, and it is not occupied. */
  get quiesced(): boolean {
    return this.#phase === 'quiesced' && !this.#isOccupied;
  }

  /** Names of the devices that the machine waits for. */
  get holdups(): string[] {
    return [...this.#draining].map(({ name }) => name);
  }

  /** A device has been plugged in: it stops too if the machine is stopped. */
  plugged(device: Device): void {
    if (this.parked) device.quiesce?.(() => {});
  }

  /** A device has been unplugged: it is no longer waited for. */
  unplugged(device: Device): void {
    if (this.#draining.delete(device)) this.#stopped();
  }

  /** The machine has ended: a release no longer starts its vCPUs and queues. */
  end(): void {
    this.#hasEnded = true;
  }

  /** Stops the machine, or keeps it stopped, until the returned function is called. The event may come first. */
  hold(events: HoldEvents): Release {
    const hold = { ...events };
    this.#holds.add(hold);
    if (this.#phase === 'running') this.#park();
    else this.#notifyQuiesced();
    return () => {
      if (this.#holds.delete(hold) && this.#holds.size === 0) this.#resume();
    };
  }

  /**
   * Keeps other holders from being notified that it is quiesced until the returned function is called, for work that
   * takes several turns of the loop. Only while it is quiesced and held.
   * @returns ends that: calls `then` first, before the others are notified
   */
  occupy(): (then: () => void) => void {
    this.#isOccupied = true;
    return then => {
      this.#isOccupied = false;
      then();
      this.#notifyQuiesced();
    };
  }

  #park(): void {
    this.#phase = 'parking';
    const epoch = this.#epoch;
    this.#options.vcpus.pause(() => {
      if (epoch === this.#epoch) this.#drain();
    });
  }

  #drain(): void {
    this.#phase = 'draining';
    const epoch = this.#epoch;
    const devices = this.#options.devices();
    for (const device of devices) this.#draining.add(device);
    this.#options.onChange();
    for (const device of devices) {
      // A hold may have ended in the meantime, and with it the stop.
      if (epoch !== this.#epoch) return;
      const stopped = () => {
        if (epoch === this.#epoch && this.#draining.delete(device)) this.#stopped();
      };
      if (device.quiesce === undefined) stopped();
      else device.quiesce(stopped);
    }
  }

  /** One device fewer to wait for. */
  #stopped(): void {
    if (this.#draining.size === 0) this.#phase = 'quiesced';
    this.#options.onChange();
    this.#notifyQuiesced();
  }

  #resume(): void {
    const { vcpus, devices, beforeResume, onChange } = this.#options;
    if (this.#phase === 'running' || this.#hasEnded) return;
    this.#epoch++;
    if (this.parked) {
      this.#draining.clear();
      for (const device of devices()) device.resume?.();
      if (this.#hasRun) beforeResume();
    }
    this.#phase = 'running';
    this.#hasRun = true;
    vcpus.resume();
    onChange();
  }

  #notifyQuiesced(): void {
    for (const hold of [...this.#holds]) {
      if (!this.quiesced || !this.#holds.has(hold) || this.#notified.has(hold)) continue;
      this.#notified.add(hold);
      hold.quiesced?.();
    }
  }
}
