import type { DeviceState } from '../device.ts';
import { numberOf } from '../state.ts';
import { descriptor, type UsbDescription } from './descriptors.ts';
import type { SetupPacket } from './usb-device.ts';

/** Standard requests (USB 2.0 table 9-4). */
const REQUEST = {
  getStatus: 0,
  clearFeature: 1,
  setFeature: 3,
  setAddress: 5,
  getDescriptor: 6,
  getConfiguration: 8,
  setConfiguration: 9,
  getInterface: 10,
  setInterface: 11,
} as const;

/** Bits of bmRequestType (§9.3.1). */
export const REQUEST_TYPE = { toHost: 0x80, kind: 0x60, class: 0x20, recipient: 0x1f } as const;
export const RECIPIENT = { device: 0, interface: 1, endpoint: 2 } as const;

const ENDPOINT_HALT = 0;
const MAX_ADDRESS = 127;

export type StandardHooks = {
  /** A configuration has been selected: 0 for none, or the same one again. */
  readonly onConfigured: () => void;
  /** An endpoint is no longer halted. */
  readonly onUnhalted?: (endpoint: number) => void;
};

const NOTHING = new Uint8Array(0);

/** The standard requests of USB 2.0 chapter 9, for a device with one configuration and one interface. */
export class StandardRequests {
  readonly #description: UsbDescription;
  readonly #hooks: StandardHooks;
  #address = 0;
  #configuration = 0;
  /** Bits of halted endpoints, in the order of the description. */
  #halted = 0;

  constructor(description: UsbDescription, hooks: StandardHooks) {
    this.#description = description;
    this.#hooks = hooks;
  }

  /** Whether a driver has configured it. */
  get isConfigured(): boolean {
    return this.#configuration !== 0;
  }

  /** Whether an endpoint is usable. */
  has(endpoint: number): boolean {
    return this.isConfigured && this.#indexOf(endpoint) >= 0;
  }

  isHalted(endpoint: number): boolean {
    return (this.#halted & this.#bitOf(endpoint)) !== 0;
  }

  halt(endpoint: number): void {
    this.#halted |= this.#bitOf(endpoint);
  }

  reset(): void {
    this.#address = 0;
    this.#configure(0);
  }

  /** @returns the data to the host; null if the request is invalid; undefined if it is not a standard one */
  control(setup: SetupPacket): Uint8Array | null | undefined {
    const { requestType, request, value, index } = setup;
    if ((requestType & REQUEST_TYPE.kind) !== 0) return undefined;
    switch (request) {
      case REQUEST.getStatus:
        return this.#status(setup);
      case REQUEST.clearFeature:
      case REQUEST.setFeature:
        return this.#feature(setup);
      case REQUEST.setAddress:
        if (value > MAX_ADDRESS) return null;
        this.#address = value;
        return NOTHING;
      case REQUEST.getDescriptor:
        if ((requestType & REQUEST_TYPE.recipient) !== RECIPIENT.device) return undefined;
        return descriptor(this.#description, value >> 8, value & 0xff);
      case REQUEST.getConfiguration:
        return Uint8Array.of(this.#configuration);
      case REQUEST.setConfiguration:
        if (value > 1) return null;
        this.#configure(value);
        return NOTHING;
      case REQUEST.getInterface:
        return this.isConfigured && index === 0 ? Uint8Array.of(0) : null;
      case REQUEST.setInterface:
        return this.isConfigured && index === 0 && value === 0 ? NOTHING : null;
      default:
        return null;
    }
  }

  save(): DeviceState {
    return { address: this.#address, configuration: this.#configuration, halted: this.#halted };
  }

  /** @throws DeviceStateError */
  load(state: DeviceState): void {
    const address = numberOf(state, 'address', MAX_ADDRESS);
    const configuration = numberOf(state, 'configuration', 1);
    this.#halted = numberOf(state, 'halted', 2 ** this.#description.endpoints.length - 1);
    this.#address = address;
    this.#configuration = configuration;
  }

  #status({ requestType, index }: SetupPacket): Uint8Array | null {
    switch (requestType & REQUEST_TYPE.recipient) {
      case RECIPIENT.device:
        return Uint8Array.of(0, 0);
      case RECIPIENT.interface:
        return this.isConfigured && index === 0 ? Uint8Array.of(0, 0) : null;
      case RECIPIENT.endpoint:
        if ((index & 0x7f) === 0) return Uint8Array.of(0, 0);
        return this.has(index) ? Uint8Array.of(this.isHalted(index) ? 1 : 0, 0) : null;
      default:
        return null;
    }
  }

  #feature({ requestType, request, value, index }: SetupPacket): Uint8Array | null {
    const isEndpoint = (requestType & REQUEST_TYPE.recipient) === RECIPIENT.endpoint;
    // No remote wakeup, and no test modes.
    if (!isEndpoint || value !== ENDPOINT_HALT) return null;
    if ((index & 0x7f) === 0) return NOTHING;
    if (!this.has(index)) return null;
    if (request === REQUEST.setFeature) this.halt(index);
    else {
      this.#halted &= ~this.#bitOf(index);
      this.#hooks.onUnhalted?.(index);
    }
    return NOTHING;
  }

  #configure(configuration: number): void {
    this.#configuration = configuration;
    this.#halted = 0;
    this.#hooks.onConfigured();
  }

  #indexOf(endpoint: number): number {
    return this.#description.endpoints.findIndex(({ address }) => address === endpoint);
  }

  #bitOf(endpoint: number): number {
    const index = this.#indexOf(endpoint);
    return index < 0 ? 0 : 1 << index;
  }
}
