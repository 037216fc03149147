import type { Device } from '../device.ts';

/** What a card answers a command with: R1, R3, R6 and R7 have 32 bits, R2 has 15 bytes, CID or CSD without their checksum, the most significant first. */
export type SdResponse =
  | { readonly kind: 'short'; readonly value: number }
  | { readonly kind: 'long'; readonly bytes: Uint8Array };

/** The data of the last command that has not traveled yet. */
export type SdData = {
  /** To the host, or from it. */
  readonly direction: 'in' | 'out';
  /** Bytes. */
  readonly blockLength: number;
  /** Null: until the host stops it. */
  readonly blocks: number | null;
};

/**
 * A card in the slot of a host controller (SD Physical Layer Simplified Specification 6.00), apart from how its host gives commands and moves data.
 *
 * After a state was loaded, the host asks again for what it had asked for: reads and writes that have not ended have not happened to the card.
 */
export interface SdDevice extends Device {
  /** The switch on its side. */
  readonly isWriteProtected: boolean;
  /** In the identification register: `VRING`. */
  readonly product: string;
  /** It loses its power. */
  powerOff(): void;
  /** @returns null: it does not respond */
  command(index: number, argument: number): SdResponse | null;
  readonly data: SdData | null;
  /**
   * The next blocks of data to the host: at most `blocks`, and at least one.
   * @param done called with them, possibly within this call; null: they do not come
   */
  read(blocks: number, done: (bytes: Uint8Array | null) => void): void;
  /** @param bytes of whole blocks. @param done whether they were taken, possibly within this call */
  write(bytes: Uint8Array, done: (isTaken: boolean) => void): void;
  /** It signals that it is busy (DAT0). */
  readonly isBusy: boolean;
  /** Called when it is no longer. */
  onReady: (() => void) | null;
}
