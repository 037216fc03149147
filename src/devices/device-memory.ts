import type { BusRange } from './bus.ts';
import type { Cancel } from './device.ts';

/** Memory of a device that its guest reaches without an exit: a frame buffer, an option ROM. */
export interface DeviceMemory {
  /** Bytes; a multiple of 4096. */
  readonly size: number;
  /** All of it, to read from. */
  readonly bytes: Uint8Array;
  /** [offset, offset + length), to write to until the machine thread's next event. */
  writable(offset: number, length: number): Uint8Array;
  /** Maps it for the guest at guest-physical `start`, as memory of `device`; more than once if needed. */
  show(device: string, start: number): BusRange;
  /** Logs the writes of the guest and the device from now on. */
  watch(): WriteWatch;
  /** Unmaps it from the guest, and returns it to the host. */
  release(): void;
}

/** Memory that a device has allocated for itself. */
export interface OwnMemory extends DeviceMemory {
  /**
   * Shows a part of it in the window of a VGA adapter, in place of what is mapped there otherwise. All numbers are
   * multiples of a page.
   * @returns unmaps it again
   */
  showPart(device: string, start: number, offset: number, size: number): Cancel;
  /** Zeroes all of it, and returns its memory to the host. */
  clear(): void;
}

export interface WriteWatch {
  /** Whole pages that have been written since the last call, ascending: [start, end) in bytes. */
  collect(): { readonly start: number; readonly end: number }[];
  stop: Cancel;
}
