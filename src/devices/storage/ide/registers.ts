/** Registers of an ATA channel (ATA/ATAPI-6 §7), by the offset from the first port of the command block. */
export const REG = {
  data: 0,
  /** Read: error; write: features. */
  error: 1,
  count: 2,
  lbaLow: 3,
  lbaMid: 4,
  lbaHigh: 5,
  device: 6,
  /** Read: status; write: command. */
  status: 7,
} as const;

export const STATUS = {
  error: 0x01,
  dataRequest: 0x08,
  seekComplete: 0x10,
  ready: 0x40,
  busy: 0x80,
} as const;

/** Device control. */
export const CONTROL = { noInterrupt: 0x02, softReset: 0x04, highOrderByte: 0x80 } as const;

export const DEVICE = { second: 0x10 } as const;

/** Commands that the channel itself takes part in: DEVICE RESET, EXECUTE DEVICE DIAGNOSTIC, PACKET. */
export const COMMAND = { deviceReset: 0x08, diagnostic: 0x90, packet: 0xa0 } as const;

/** The interrupt reason: the count register during PACKET. */
export const REASON = { command: 0x01, toHost: 0x02 } as const;

/** The values of undriven lines: the pull-down of DD7 shows that no drive is busy. */
export const FLOATING = { status: 0x7f, other: 0xff } as const;

/** Registers of a bus master function's channel: Programming Interface for Bus Master IDE Controller 1.0 §2. */
export const BUS_MASTER = { command: 0, status: 2, table: 4, ports: 8 } as const;

export const BM_COMMAND = { start: 0x01, toMemory: 0x08 } as const;

/** Error and interrupt are cleared by writing ones; software sets the others to show which drives can do DMA. */
export const BM_STATUS = { active: 0x01, error: 0x02, interrupt: 0x04, capable: 0x60 } as const;
