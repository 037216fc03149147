import type { AccessSize, IoHandler } from '../../device.ts';
import type { PassedFunction } from '../passed-function.ts';

/** A range of addresses that maps the configuration space. */
export type WindowMatch = {
  /** Address of its first byte. */
  readonly base: number;
  /** Bytes, a power of two. */
  readonly size: number;
};

/**
 * A pair of registers through which a driver reaches others: it writes an address to one, and reads or writes the
 * other. For addresses in the configuration space, the guest gets the one that it sees elsewhere.
 */
export class ConfigWindow {
  readonly #fn: PassedFunction;
  readonly #matches: readonly WindowMatch[];
  readonly #enabled: () => boolean;
  /** Offset in the configuration space; null for other addresses. */
  #selected: number | null = null;

  constructor(fn: PassedFunction, matches: readonly WindowMatch[], enabled = () => true) {
    this.#fn = fn;
    this.#matches = matches;
    this.#enabled = enabled;
  }

  /** The address register, whose writes also go to the device. */
  address(device: IoHandler): IoHandler {
    return {
      read: (offset, size) => device.read(offset, size),
      write: (offset, size, value) => {
        this.#selected = offset === 0 && size === 4 ? this.#find(value) : null;
        device.write(offset, size, value);
      },
    };
  }

  data(device: IoHandler): IoHandler {
    return {
      read: (offset, size) => {
        // The device is read as well, for the side effects.
        const value = device.read(offset, size);
        const at = this.#at(offset, size);
        return at === null ? value : this.#fn.readConfig(at, size);
      },
      write: (offset, size, value) => {
        const at = this.#at(offset, size);
        if (at === null) device.write(offset, size, value);
        else this.#fn.writeConfig(at, size, value);
      },
    };
  }

  #find(address: number): number | null {
    const match = this.#matches.find(({ base, size }) => address >= base && address < base + size);
    return match === undefined ? null : address - match.base;
  }

  #at(offset: number, size: AccessSize): number | null {
    if (this.#selected === null || !this.#enabled() || offset + size > 4) return null;
    return this.#selected + offset;
  }
}
