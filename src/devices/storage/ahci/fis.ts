import type { CommandRegisters, ResultRegisters } from '../ata/ata-drive.ts';

/** Frame information structures (Serial ATA 3.0 §10.3). */
export const FIS = {
  registerToDevice: 0x27,
  registerToHost: 0x34,
  pioSetup: 0x5f,
  setDeviceBits: 0xa1,
} as const;

/** The size of the longest FIS in a command table. */
export const COMMAND_FIS = 64;

const INTERRUPT = 0x40;
const TO_HOST = 0x20;
/** The frame contains a command, rather than device control. */
const IS_COMMAND = 0x80;
/** Device control: software reset. */
const SOFT_RESET = 0x04;

/** A register FIS of the host. */
export type HostFrame = {
  readonly registers: CommandRegisters;
  /** Otherwise it contains only device control. */
  readonly isCommand: boolean;
  readonly softReset: boolean;
  /** The port of a multiplier that it addresses. */
  readonly multiplierPort: number;
};

/** Parses a frame; null if it is not a register FIS to a device. */
export function parseHostFrame(bytes: Uint8Array): HostFrame | null {
  if (bytes[0] !== FIS.registerToDevice) return null;
  const low = bytes[4]! + bytes[5]! * 2 ** 8 + bytes[6]! * 2 ** 16;
  const high = bytes[8]! + bytes[9]! * 2 ** 8 + bytes[10]! * 2 ** 16;
  return {
    registers: {
      command: bytes[2]!,
      features: bytes[3]! | (bytes[11]! << 8),
      count: bytes[12]! | (bytes[13]! << 8),
      lba: low + high * 2 ** 24,
      device: bytes[7]!,
    },
    isCommand: (bytes[1]! & IS_COMMAND) !== 0,
    softReset: (bytes[15]! & SOFT_RESET) !== 0,
    multiplierPort: bytes[1]! & 0xf,
  };
}

/** A register FIS of the device. @param interrupts whether it interrupts the host */
export function registerFrame(result: ResultRegisters, interrupts: boolean): Uint8Array {
  const { status, error, count, lba, device } = result;
  const byte = (index: number) => Math.floor(lba / 2 ** (8 * index)) & 0xff;
  return Uint8Array.from([
    ...[FIS.registerToHost, interrupts ? INTERRUPT : 0, status, error],
    ...[byte(0), byte(1), byte(2), device],
    ...[byte(3), byte(4), byte(5), 0],
    ...[count & 0xff, count >> 8, 0, 0],
    ...[0, 0, 0, 0],
  ]);
}

/** A PIO setup FIS for `length` bytes, after which the device's status is `endStatus`. */
export function pioSetupFrame(
  { status, error, count, lba, device }: ResultRegisters,
  {
    toHost,
    length,
    endStatus,
  }: { readonly toHost: boolean; readonly length: number; readonly endStatus: number },
): Uint8Array {
  const frame = registerFrame({ status, error, count, lba, device }, true);
  frame[0] = FIS.pioSetup;
  frame[1] = INTERRUPT | (toHost ? TO_HOST : 0);
  frame[15] = endStatus;
  frame[16] = length & 0xff;
  frame[17] = (length >> 8) & 0xff;
  return frame;
}

/** A set device bits FIS: the queued commands in `finished` have completed. */
export function setDeviceBitsFrame(status: number, error: number, finished: number): Uint8Array {
  const frame = new Uint8Array(8);
  // Excludes BSY and DRQ, which it does not change.
  frame.set([FIS.setDeviceBits, INTERRUPT, status & 0x77, error]);
  new DataView(frame.buffer).setUint32(4, finished, true);
  return frame;
}
