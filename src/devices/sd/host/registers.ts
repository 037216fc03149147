/** Registers of an SD host controller (SD Host Controller Simplified Specification 3.00 §2.2), by their offsets. */
export const REG = {
  systemAddress: 0x00,
  blockSize: 0x04,
  blockCount: 0x06,
  argument: 0x08,
  transferMode: 0x0c,
  command: 0x0e,
  response: 0x10,
  bufferData: 0x20,
  presentState: 0x24,
  hostControl: 0x28,
  powerControl: 0x29,
  blockGapControl: 0x2a,
  wakeupControl: 0x2b,
  clockControl: 0x2c,
  timeoutControl: 0x2e,
  softwareReset: 0x2f,
  status: 0x30,
  errorStatus: 0x32,
  statusEnable: 0x34,
  errorStatusEnable: 0x36,
  signalEnable: 0x38,
  errorSignalEnable: 0x3a,
  autoCommandErrors: 0x3c,
  capabilities: 0x40,
  maxCurrent: 0x48,
  forceAutoCommandErrors: 0x50,
  forceErrors: 0x52,
  admaErrors: 0x54,
  admaAddress: 0x58,
  slotInterrupts: 0xfc,
  version: 0xfe,
} as const;
export const REGISTER_BYTES = 0x100;

export const BLOCK_SIZE = { lengthMask: 0xfff, boundaryShift: 12, writable: 0x7fff } as const;
/** The largest block, as in the capabilities. */
export const MAX_BLOCK = 512;

export const MODE = {
  dma: 0x01,
  countsBlocks: 0x02,
  autoCommand12: 0x04,
  autoCommand23: 0x08,
  autoCommandMask: 0x0c,
  read: 0x10,
  multiple: 0x20,
  writable: 0x3f,
} as const;

export const COMMAND = {
  responseMask: 0x03,
  longResponse: 0x01,
  shortResponse: 0x02,
  busyResponse: 0x03,
  hasData: 0x20,
  typeMask: 0xc0,
  abort: 0xc0,
  indexShift: 8,
  writable: 0x3ffb,
} as const;

export const PRESENT = {
  commandInhibit: 0x0000_0001,
  dataInhibit: 0x0000_0002,
  dataActive: 0x0000_0004,
  writeActive: 0x0000_0100,
  readActive: 0x0000_0200,
  bufferWriteEnable: 0x0000_0400,
  bufferReadEnable: 0x0000_0800,
  inserted: 0x0001_0000,
  stable: 0x0002_0000,
  detectPin: 0x0004_0000,
  /** 1 if the card is writable. */
  writeProtectPin: 0x0008_0000,
  /** DAT3 to DAT0. */
  dataLevels: 0x00f0_0000,
  dataLevel0: 0x0010_0000,
  commandLevel: 0x0100_0000,
} as const;

/** LED, bus width, high speed, and the kind of DMA. */
export const HOST_CONTROL = { dmaMask: 0x18, dmaShift: 3, writable: 0x1f } as const;
export const DMA = { sdma: 0, adma32: 2, adma64: 3 } as const;
export const POWER = { on: 0x01, writable: 0x0f } as const;
export const BLOCK_GAP = { stop: 0x01, continue: 0x02, writable: 0x01 } as const;
export const CLOCK = { internal: 0x0001, stable: 0x0002, card: 0x0004, writable: 0xffe5 } as const;
export const RESET = { all: 0x01, command: 0x02, data: 0x04 } as const;

/** Normal interrupts. */
export const INTERRUPT = {
  commandComplete: 0x0001,
  transferComplete: 0x0002,
  blockGap: 0x0004,
  dma: 0x0008,
  bufferWriteReady: 0x0010,
  bufferReadReady: 0x0020,
  insertion: 0x0040,
  removal: 0x0080,
  /** In the status only: any of the errors. */
  error: 0x8000,
  enableable: 0x01ff,
} as const;

export const ERROR = {
  commandTimeout: 0x0001,
  commandEndBit: 0x0004,
  dataTimeout: 0x0010,
  dataCrc: 0x0020,
  autoCommand: 0x0100,
  adma: 0x0200,
  enableable: 0x03ff,
} as const;

export const AUTO_COMMAND_ERROR = {
  notExecuted: 0x01,
  timeout: 0x02,
  notIssued: 0x80,
  forceable: 0x9f,
} as const;

/** 50 MHz clock, 512-byte blocks, ADMA2 with 64-bit addresses, high speed, SDMA, 3.3 V. */
export const CAPABILITIES = 0x1168_32b2;
/** 400 mA at 3.3 V. */
export const MAX_CURRENT = 100;
export const VERSION_3 = 0x0002;
