import type { BusMaster } from '../../pci/bus-master.ts';
import { pointerOf } from './registers.ts';
import { TRB_BYTES, type Trb } from './trb.ts';

/**
 * A ring or context of the guest is not in memory: the controller stops with Host System Error (xHCI 1.1 §4.10.2.6).
 */
export class HostSystemError extends Error {
  override readonly name = 'HostSystemError';

  constructor(address: number) {
    super(`no memory at 0x${address.toString(16)}`);
  }
}

/**
 * The controller's accesses to what it shares with its driver. Addresses come from the guest and may be anything.
 * @throws HostSystemError
 */
export class GuestAccess {
  readonly #bus: BusMaster;

  constructor(bus: BusMaster) {
    this.#bus = bus;
  }

  /** Whether data may be moved between the device and all of [address, address + length). */
  reaches(address: number, length: number, toHost: boolean): boolean {
    const view = toHost ? this.#bus.writable(address, length) : this.#bus.readable(address, length);
    return view !== null;
  }

  read(address: number, length: number): Uint8Array {
    const view = this.#bus.readable(address, length);
    if (view === null) throw new HostSystemError(address);
    return view;
  }

  write(address: number, bytes: Uint8Array): void {
    const view = this.#bus.writable(address, bytes.length);
    if (view === null) throw new HostSystemError(address);
    view.set(bytes);
  }

  readU32(address: number): number {
    const value = this.#bus.readU32(address);
    if (value === null) throw new HostSystemError(address);
    return value;
  }

  writeU32(address: number, value: number): void {
    if (!this.#bus.writeU32(address, value >>> 0)) throw new HostSystemError(address);
  }

  readPointer(address: number): number {
    return pointerOf(this.readU32(address), this.readU32(address + 4));
  }

  readTrb(address: number): Trb {
    const bytes = this.read(address, TRB_BYTES);
    const view = new DataView(bytes.buffer, bytes.byteOffset, TRB_BYTES);
    const [low, high] = [view.getUint32(0, true), view.getUint32(4, true)];
    return {
      address,
      pointer: pointerOf(low, high),
      low,
      high,
      status: view.getUint32(8, true),
      control: view.getUint32(12, true),
    };
  }
}
