import type { DeviceState } from '../../device.ts';
import { DeviceStateError, numberOf } from '../../state.ts';
import type { UsbDevice } from '../usb-device.ts';
import { LINK, PORT, PORT_CHANGES, PORT_CLEARABLE, PORT_STATUS, PORT_WAKE, SPEED } from './registers.ts';

export type PortHost = {
  /** The driver must be notified of a change. */
  readonly changed: () => void;
  /** Ends the device's transfers; `then` may be called within this call. */
  readonly silence: (then: () => void) => void;
};

/** The bits of the status register that are saved. */
const SAVED = PORT_STATUS.enabled | PORT_STATUS.linkMask | PORT_CHANGES | PORT_WAKE;

/** A USB 2.0 port of the root hub (xHCI 1.1 §4.19, §5.4.8). */
export class RootHubPort {
  readonly #host: PortHost;
  #device: UsbDevice | null = null;
  #enabled = false;
  #link: number = LINK.rxDetect;
  #changes = 0;
  #wake = 0;
  #isResetting = false;
  /** Distinguishes a reset from an earlier one that has not ended. */
  #generation = 0;

  constructor(host: PortHost) {
    this.#host = host;
  }

  /** The connected device; null if none. */
  get device(): UsbDevice | null {
    return this.#device;
  }

  /** Whether transfers reach the device. */
  get isEnabled(): boolean {
    return this.#enabled && this.#device !== null;
  }

  connect(device: UsbDevice): void {
    this.#device = device;
    this.#connected();
  }

  disconnect(): void {
    this.#device = null;
    this.#connected();
  }

  read(offset: number): number {
    return offset === PORT.status ? this.#status : 0;
  }

  write(offset: number, value: number): void {
    if (offset !== PORT.status) return;
    this.#changes &= ~(value & PORT_CLEARABLE);
    this.#wake = value & PORT_WAKE;
    if (value & PORT_STATUS.reset) this.#reset();
    else if (value & PORT_STATUS.enabled) this.#disable();
    else if (value & PORT_STATUS.linkWrite)
      this.#setLink((value & PORT_STATUS.linkMask) >> PORT_STATUS.linkShift);
  }

  /** The state after power-on, or a reset of the controller: a connected device is detected again. */
  powerOn(): void {
    this.#generation++;
    this.#isResetting = false;
    this.#enabled = false;
    this.#wake = 0;
    this.#link = this.#device === null ? LINK.rxDetect : LINK.polling;
    this.#changes = this.#device === null ? 0 : PORT_STATUS.connectChange;
  }

  save(): DeviceState {
    return { status: this.#status & SAVED };
  }

  /** @throws DeviceStateError */
  load(state: DeviceState): void {
    const status = numberOf(state, 'status', 2 ** 31 - 1);
    if ((status & ~SAVED) !== 0) throw new DeviceStateError('status', 'status of a port');
    this.#generation++;
    this.#isResetting = false;
    this.#enabled = (status & PORT_STATUS.enabled) !== 0;
    this.#link = (status & PORT_STATUS.linkMask) >> PORT_STATUS.linkShift;
    this.#changes = status & PORT_CHANGES;
    this.#wake = status & PORT_WAKE;
  }

  get #status(): number {
    const device = this.#device;
    return (
      PORT_STATUS.power |
      (device === null ? 0 : PORT_STATUS.connected | (SPEED[device.speed] << PORT_STATUS.speedShift)) |
      (this.#enabled ? PORT_STATUS.enabled : 0) |
      (this.#isResetting ? PORT_STATUS.reset : 0) |
      (this.#link << PORT_STATUS.linkShift) |
      this.#changes |
      this.#wake
    );
  }

  #connected(): void {
    this.#generation++;
    this.#isResetting = false;
    this.#enabled = false;
    this.#link = this.#device === null ? LINK.rxDetect : LINK.polling;
    this.#change(PORT_STATUS.connectChange);
  }

  #reset(): void {
    const device = this.#device;
    if (device === null || this.#isResetting) return;
    this.#isResetting = true;
    const generation = ++this.#generation;
    this.#host.silence(() => {
      if (generation !== this.#generation) return;
      device.busReset();
      this.#isResetting = false;
      this.#enabled = true;
      this.#link = LINK.u0;
      this.#change(PORT_STATUS.resetChange);
    });
  }

  #disable(): void {
    if (!this.#enabled) return;
    this.#enabled = false;
    this.#link = LINK.polling;
  }

  /** Suspends or resumes the device (§4.15). */
  #setLink(link: number): void {
    if (!this.#enabled) return;
    const isResumed = link === LINK.u0 && (this.#link === LINK.u3 || this.#link === LINK.resume);
    if (link === LINK.u3 || link === LINK.u0 || (link === LINK.resume && this.#link === LINK.u3))
      this.#link = link;
    if (isResumed) this.#change(PORT_STATUS.linkChange);
  }

  #change(change: number): void {
    const isNew = (this.#changes & change) === 0;
    this.#changes |= change;
    if (isNew) this.#host.changed();
  }
}
