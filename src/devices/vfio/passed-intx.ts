import type { Cancel } from '../device.ts';
import type { MachineServices } from '../machine-services.ts';
import { type HostDevice, IRQ } from './host-device.ts';
import type { PassedFunction } from './passed-function.ts';

const NS_PER_MS = 1_000_000n;

export type PassedIntxOptions = {
  /** If false, the machine thread asserts the pin. */
  readonly inKernel: boolean;
  /** How long accesses to BARs exit after an interrupt that is not handled in the kernel; milliseconds. */
  readonly mmapTimeoutMs: number;
  /** Makes all accesses to BARs exit, or ends that. */
  readonly trapBars: (trapped: boolean) => void;
  readonly services: Pick<MachineServices, 'eventFds' | 'events' | 'clock'>;
};

/**
 * The INTx pin of a passed-through function. The kernel masks the device's interrupt when it occurs, and asserts the
 * pin; the end of the interrupt in the guest unmasks it. Both are eventfds between parts of the kernel.
 *
 * Without that, only the guest's accesses to its device show when it has served it: they exit for a while, and the
 * first one deasserts the pin and unmasks the interrupt.
 */
export class PassedIntx {
  readonly #fn: PassedFunction;
  readonly #device: HostDevice;
  readonly #options: PassedIntxOptions;
  #stop: Cancel | null = null;
  #asserted = false;
  #cancelTimer: Cancel | null = null;

  constructor(fn: PassedFunction, device: HostDevice, options: PassedIntxOptions) {
    this.#fn = fn;
    this.#device = device;
    this.#options = options;
  }

  /** @throws HostDeviceError */
  enable(): void {
    if (this.#stop !== null) return;
    if (this.#options.inKernel) this.#connect();
    else this.#watch();
  }

  /** The device no longer asserts the pin. */
  disable(): void {
    this.#stop?.();
    this.#stop = null;
  }

  /** The guest has enabled the pin again, in the command register: a pending interrupt is asserted. */
  unmask(): void {
    if (this.#stop !== null && !this.#asserted) this.#device.maskIntx(false);
  }

  /** The guest has accessed a BAR, and may have served the device. */
  accessed(): void {
    if (!this.#asserted) return;
    this.#asserted = false;
    this.#fn.setInterrupt(false);
    this.#device.maskIntx(false);
  }

  #connect(): void {
    const { eventFds } = this.#options.services;
    const [trigger, resample] = [eventFds.create(), eventFds.create()];
    this.#fn.connectInterrupt(trigger, resample);
    this.#stop = () => {
      this.#device.disable(IRQ.intx);
      this.#fn.disconnectInterrupt(trigger);
      for (const fd of [trigger, resample]) eventFds.close(fd);
    };
    this.#device.setTriggers(IRQ.intx, 0, [trigger]);
    this.#device.setUnmask(resample);
  }

  #watch(): void {
    const { eventFds, events } = this.#options.services;
    const trigger = eventFds.create();
    const unwatch = events.watch(trigger, () => this.#occurred());
    this.#stop = () => {
      this.#device.disable(IRQ.intx);
      unwatch();
      eventFds.close(trigger);
      this.#cancelTimer?.();
      this.#cancelTimer = null;
      this.#asserted = false;
      this.#fn.setInterrupt(false);
      this.#options.trapBars(false);
    };
    this.#device.setTriggers(IRQ.intx, 0, [trigger]);
  }

  #occurred(): void {
    this.#asserted = true;
    this.#fn.setInterrupt(true);
    this.#options.trapBars(true);
    this.#startTimer();
  }

  #startTimer(): void {
    const { clock } = this.#options.services;
    this.#cancelTimer?.();
    this.#cancelTimer = clock.at(clock.now() + BigInt(this.#options.mmapTimeoutMs) * NS_PER_MS, () => {
      this.#cancelTimer = null;
      // Only an access ends the interrupt.
      if (this.#asserted) this.#startTimer();
      else this.#options.trapBars(false);
    });
  }
}
