import type { AccessSize, Device, DeviceState, IoHandler, RequestMachine } from '../device.ts';
import { numberOf } from '../state.ts';

/** Reads and writes configuration space by bus, device and function. `size` bytes within one aligned dword. */
export interface ConfigSpaces {
  readConfig(bus: number, devfn: number, offset: number, size: AccessSize): number;
  writeConfig(bus: number, devfn: number, offset: number, size: AccessSize, value: number): void;
}

const ADDRESS_PORT = 0;
const RESET_PORT = 1;
const DATA_PORTS = 4;
const ENABLE = 0x8000_0000;
/** Bits 30-24 and 1-0 are reserved and read as zero (PCI Local Bus 3.0 §3.2.2.3.2). */
const ADDRESS_BITS = 0x80ff_fffc;

/** Reset control register: bit 1 chooses a hard reset, bit 2 resets when it rises. */
const RESET_BITS = 0x0e;
const RESET_CPU = 0x04;

/**
 * The eight ports from 0xcf8: configuration mechanism #1, whose address register accepts only dwords, and, overlapping
 * it, the reset control register at 0xcf9, which accepts only bytes.
 */
export class ConfigPorts implements IoHandler, Device {
  readonly name = 'pci-config';
  static readonly size = 8;
  readonly #spaces: ConfigSpaces;
  readonly #request: RequestMachine;
  #address = 0;
  #resetControl = 0;

  constructor(spaces: ConfigSpaces, request: RequestMachine) {
    this.#spaces = spaces;
    this.#request = request;
  }

  read(offset: number, size: AccessSize): number {
    if (offset === ADDRESS_PORT && size === 4) return this.#address;
    if (offset === RESET_PORT && size === 1) return this.#resetControl;
    if (offset < DATA_PORTS || !this.#enabled(offset, size)) return 0xffff_ffff;
    return this.#spaces.readConfig(this.#bus, this.#devfn, this.#register(offset), size);
  }

  write(offset: number, size: AccessSize, value: number): void {
    if (offset === ADDRESS_PORT && size === 4) this.#address = (value & ADDRESS_BITS) >>> 0;
    else if (offset === RESET_PORT && size === 1) this.#writeReset(value);
    else if (offset >= DATA_PORTS && this.#enabled(offset, size)) {
      this.#spaces.writeConfig(this.#bus, this.#devfn, this.#register(offset), size, value);
    }
  }

  reset(): void {
    this.#address = 0;
    this.#resetControl = 0;
  }

  save(): DeviceState {
    return { address: this.#address, resetControl: this.#resetControl };
  }

  load(state: DeviceState): void {
    this.#address = (numberOf(state, 'address', 0xffff_ffff) & ADDRESS_BITS) >>> 0;
    this.#resetControl = numberOf(state, 'resetControl', 0xff) & RESET_BITS;
  }

  get #bus(): number {
    return (this.#address >>> 16) & 0xff;
  }

  get #devfn(): number {
    return (this.#address >>> 8) & 0xff;
  }

  #register(offset: number): number {
    return (this.#address & 0xfc) + offset - DATA_PORTS;
  }

  #enabled(offset: number, size: number): boolean {
    return (this.#address & ENABLE) !== 0 && (offset & 3) + size <= 4;
  }

  #writeReset(value: number): void {
    const rises = (value & RESET_CPU) !== 0 && (this.#resetControl & RESET_CPU) === 0;
    this.#resetControl = value & RESET_BITS;
    if (rises) this.#request({ kind: 'reset' });
  }
}
