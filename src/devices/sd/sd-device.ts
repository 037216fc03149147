import type { Device } from '../device.ts';

/**
 * A card's response to a command: R1, R3, R6 and R7 have 32 bits, R2 has 15 bytes, CID or CSD without their checksum,
 * most significant first.
 */
export type SdResponse =
  | { readonly kind: 'short'; readonly value: number }
  | { readonly kind: 'long'; readonly bytes: Uint8Array };

/** The data of the last command that has not been transferred yet. */
export type SdData = {
  /** To the host, or from it. */
  readonly direction: 'in' | 'out';
  /** Bytes. */
  readonly blockLength: number;
  /** Null if it ends when the host stops it. */
  readonly blocks: number | null;
};

/**
 * A card in the slot of a host controller (SD Physical Layer Simplified Specification 6.00), independent of how the
 * host sends commands and moves data.
 *
 * After a state was loaded, the host repeats its pending requests: to the card, reads and writes that have not
 * completed have not happened.
 */
export interface SdDevice extends Device {
  /** The write-protect switch. */
  readonly isWriteProtected: boolean;
  /** In the identification register: `VRING`. */
  readonly product: string;
  /** The card loses power. */
  powerOff(): void;
  /** @returns null if it does not respond */
  command(index: number, argument: number): SdResponse | null;
  readonly data: SdData | null;
  /**
   * Reads the next blocks of data for the host: at most `blocks`, and at least one.
   * @param done called with them, possibly within this call; null if they do not come
   */
  read(blocks: number, done: (bytes: Uint8Array | null) => void): void;
  /** @param bytes of whole blocks. @param done whether they were taken, possibly within this call */
  write(bytes: Uint8Array, done: (isTaken: boolean) => void): void;
  /** Whether it signals that it is busy (DAT0). */
  readonly isBusy: boolean;
  /** Called when it is no longer busy. */
  onReady: (() => void) | null;
}
