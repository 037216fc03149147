/** Registers and their bits (eXtensible Host Controller Interface 1.1 §5), as offsets in BAR 0. */

/** The numbers of root hub ports, device slots, and interrupters. */
export const PORTS = 15;
export const SLOTS = 32;
export const INTERRUPTERS = 4;

/** The offset of each part. */
export const SPACE = {
  capability: 0x0000,
  operational: 0x0040,
  ports: 0x0440,
  extended: 0x0800,
  runtime: 0x1000,
  interrupters: 0x1020,
  doorbells: 0x2000,
  msixTable: 0x3000,
  msixPending: 0x3800,
  size: 0x4000,
} as const;
export const PORT_BYTES = 0x10;
export const INTERRUPTER_BYTES = 0x20;

/** Capability registers (§5.3). */
export const CAPABILITY = {
  lengthAndVersion: 0x00,
  structural1: 0x04,
  structural2: 0x08,
  structural3: 0x0c,
  parameters1: 0x10,
  doorbells: 0x14,
  runtime: 0x18,
  parameters2: 0x1c,
} as const;
export const VERSION_1_1 = 0x0110;
export const ADDRESS_64 = 0x1;

/** Operational registers (§5.4), from the start of their part. */
export const OPERATIONAL = {
  usbCommand: 0x00,
  usbStatus: 0x04,
  pageSize: 0x08,
  deviceNotification: 0x14,
  commandRing: 0x18,
  commandRingHigh: 0x1c,
  contexts: 0x30,
  contextsHigh: 0x34,
  configure: 0x38,
} as const;

export const USB_COMMAND = {
  run: 0x1,
  reset: 0x2,
  interrupts: 0x4,
  hostErrors: 0x8,
  save: 0x100,
  restore: 0x200,
  wrapEvents: 0x400,
} as const;

export const USB_STATUS = {
  halted: 0x1,
  hostError: 0x4,
  event: 0x8,
  portChange: 0x10,
  restoreError: 0x400,
  controllerError: 0x1000,
} as const;
export const USB_STATUS_CLEARABLE = 0x41c;

export const COMMAND_RING = { cycle: 0x1, stop: 0x2, abort: 0x4, running: 0x8 } as const;

/** Port status and control (§5.4.8). */
export const PORT = { status: 0x0, power: 0x4, link: 0x8, hardware: 0xc } as const;
export const PORT_STATUS = {
  connected: 0x1,
  enabled: 0x2,
  reset: 0x10,
  linkShift: 5,
  linkMask: 0xf << 5,
  power: 0x200,
  speedShift: 10,
  speedMask: 0xf << 10,
  linkWrite: 0x1_0000,
  connectChange: 0x2_0000,
  enableChange: 0x4_0000,
  resetChange: 0x20_0000,
  linkChange: 0x40_0000,
} as const;
export const PORT_CHANGES =
  PORT_STATUS.connectChange | PORT_STATUS.enableChange | PORT_STATUS.resetChange | PORT_STATUS.linkChange;
/** All bits that are cleared by writing ones, including those that are never set here. */
export const PORT_CLEARABLE = 0xfe_0000;
/** Wake enables, which are only stored. */
export const PORT_WAKE = 0xe00_0000;
export const LINK = { u0: 0, u3: 3, rxDetect: 5, polling: 7, resume: 15 } as const;
/** Default speed IDs (§7.2.2.1.1). */
export const SPEED = { full: 1, high: 3 } as const;

/** Registers of an interrupter (§5.5.2). */
export const INTERRUPTER = {
  management: 0x00,
  moderation: 0x04,
  tableSize: 0x08,
  table: 0x10,
  tableHigh: 0x14,
  dequeue: 0x18,
  dequeueHigh: 0x1c,
} as const;
export const MANAGEMENT = { pending: 0x1, enable: 0x2 } as const;
/** In the dequeue pointer: the driver is processing events. */
export const HANDLER_BUSY = 0x8;

/** Bits of physical addresses, as in processors. */
const ADDRESS_BITS = 52;

/** 64 bits as an address. One beyond the processors' physical addresses is not in memory in any case. */
export function pointerOf(low: number, high: number): number {
  return Math.min(high, 2 ** (ADDRESS_BITS - 32)) * 2 ** 32 + low;
}

/** An address after a write of its low dword. */
export function withLow(address: number, low: number): number {
  return pointerOf(low, Math.floor(address / 2 ** 32));
}

export function withHigh(address: number, high: number): number {
  return pointerOf(address % 2 ** 32, high);
}
