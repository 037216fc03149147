import type { Segment } from '../backends/disk-port.ts';
import type { Device } from '../device.ts';

/** How fast a device is, 12 and 480 Mbit/s. */
export type UsbSpeed = 'full' | 'high';

/** What is asked by a control transfer (USB 2.0 §9.3). */
export type SetupPacket = {
  readonly requestType: number;
  readonly request: number;
  readonly value: number;
  readonly index: number;
  /** Bytes of the data stage at most. */
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

/** How a transfer ends: with so many bytes, or because the endpoint is halted, or because the device does not answer. */
export type TransferEnd =
  | { readonly kind: 'done'; readonly length: number }
  | { readonly kind: 'stall' }
  | { readonly kind: 'error' };

/** A transfer to or from an endpoint other than 0, whose memory the host controller has checked. */
export interface UsbTransfer {
  /** Bytes that the host sends, or has room for. */
  readonly length: number;
  /** Where they are in guest memory, `length` bytes altogether. */
  readonly segments: readonly Segment[];
  /** Bytes from the host. */
  read(offset: number, length: number): Uint8Array;
  /** Bytes to the host. */
  write(offset: number, bytes: Uint8Array): void;
  /** Once, possibly within `submit`. */
  end(end: TransferEnd): void;
}

/** A device on a port, apart from how transfers come from memory and go there. A host controller asks only for what its guest may have. */
export interface UsbDevice extends Device {
  readonly speed: UsbSpeed;
  /** What its host calls the product. */
  readonly product: string;
  /** Its port is reset, or it has been connected to another: it has the default address and no configuration. */
  busReset(): void;
  /**
   * A control transfer to endpoint 0.
   * @param data of the data stage from the host, `setup.length` bytes; none for other requests
   * @returns the data to the host, possibly none; null: the device stalls
   */
  control(setup: SetupPacket, data: Uint8Array): Uint8Array | null;
  /** Begins a transfer. At most one of each endpoint at a time. @param endpoint its address, with bit 7 for one to the host */
  submit(endpoint: number, transfer: UsbTransfer): void;
  /** Drops the transfer of an endpoint, if there is one: it does not end. @param ended called when nothing of it reaches memory any more */
  cancel(endpoint: number, ended: () => void): void;
}
