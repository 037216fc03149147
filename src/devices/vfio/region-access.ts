import type { AccessSize, IoHandler } from '../device.ts';
import { HostDeviceError, type HostRegion } from './host-device.ts';

type AccessedRegion = Pick<HostRegion, 'size' | 'readable' | 'writable' | 'read' | 'write'>;

/** A guest's accesses to a region of the device. A failing read returns all ones, as if the device were gone. */
export class RegionAccess implements IoHandler {
  readonly #region: AccessedRegion;
  readonly #base: number;
  readonly #onError: (error: Error) => void;
  readonly #bytes = new Uint8Array(4);
  readonly #view = new DataView(this.#bytes.buffer);

  /** @param base the position of offset 0 in the region */
  constructor(region: AccessedRegion, onError: (error: Error) => void, base = 0) {
    this.#region = region;
    this.#onError = onError;
    this.#base = base;
  }

  read(offset: number, size: AccessSize): number {
    const at = this.#base + offset;
    const bytes = this.#bytes.subarray(0, size);
    if (!this.#region.readable || at + size > this.#region.size) return ALL_ONES[size];
    try {
      this.#region.read(at, bytes);
    } catch (error) {
      this.#failed(error);
      return ALL_ONES[size];
    }
    if (size === 4) return this.#view.getUint32(0, true);
    return size === 2 ? this.#view.getUint16(0, true) : this.#view.getUint8(0);
  }

  write(offset: number, size: AccessSize, value: number): void {
    const at = this.#base + offset;
    if (!this.#region.writable || at + size > this.#region.size) return;
    if (size === 4) this.#view.setUint32(0, value, true);
    else if (size === 2) this.#view.setUint16(0, value, true);
    else this.#view.setUint8(0, value);
    try {
      this.#region.write(at, this.#bytes.subarray(0, size));
    } catch (error) {
      this.#failed(error);
    }
  }

  #failed(error: unknown): void {
    if (!(error instanceof HostDeviceError)) throw error;
    this.#onError(error);
  }
}

const ALL_ONES = { 1: 0xff, 2: 0xffff, 4: 0xffff_ffff } as const;
