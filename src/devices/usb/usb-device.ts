import type { Segment } from '../backends/disk-port.ts';
import type { Device } from '../device.ts';

/** The speed of a device, 12 or 480 Mbit/s. */
export type UsbSpeed = 'full' | 'high';

/** The request of a control transfer (USB 2.0 §9.3). */
export type SetupPacket = {
  readonly requestType: number;
  readonly request: number;
  readonly value: number;
  readonly index: number;
  /** The maximum size of the data stage, in bytes. */
  readonly length: number;
};

export const SETUP_BYTES = 8;

export function parseSetup(bytes: Uint8Array): SetupPacket {
  const view = new DataView(bytes.buffer, bytes.byteOffset, SETUP_BYTES);
  return {
    requestType: view.getUint8(0),
    request: view.getUint8(1),
    value: view.getUint16(2, true),
    index: view.getUint16(4, true),
    length: view.getUint16(6, true),
  };
}

/** How a transfer ends: with this many bytes, with a halted endpoint, or without a response from the device. */
export type TransferEnd =
  | { readonly kind: 'done'; readonly length: number }
  | { readonly kind: 'stall' }
  | { readonly kind: 'error' };

/** A transfer to or from an endpoint other than 0, whose memory the host controller has checked. */
export interface UsbTransfer {
  /** Bytes that the host sends, or has room for. */
  readonly length: number;
  /** The guest memory, `length` bytes in total. */
  readonly segments: readonly Segment[];
  /** Reads bytes from the host. */
  read(offset: number, length: number): Uint8Array;
  /** Writes bytes to the host. */
  write(offset: number, bytes: Uint8Array): void;
  /** Ends the transfer; called once, possibly within `submit`. */
  end(end: TransferEnd): void;
}

/**
 * A device on a port, independent of how transfers access memory. A host controller only makes requests that its guest
 * may make.
 */
export interface UsbDevice extends Device {
  readonly speed: UsbSpeed;
  /** The product name. */
  readonly product: string;
  /** Its port is reset, or it has been connected to another one: it has the default address and no configuration. */
  busReset(): void;
  /**
   * A control transfer to endpoint 0.
   * @param data of the data stage from the host, `setup.length` bytes; none for other requests
   * @returns the data to the host, possibly none; null if the device stalls
   */
  control(setup: SetupPacket, data: Uint8Array): Uint8Array | null;
  /**
   * Begins a transfer. At most one per endpoint at a time. @param endpoint its address, with bit 7 set for an IN
   * endpoint
   */
  submit(endpoint: number, transfer: UsbTransfer): void;
  /**
   * Drops the transfer of an endpoint, if any, without ending it. @param ended called once it no longer reaches memory
   */
  cancel(endpoint: number, ended: () => void): void;
}
