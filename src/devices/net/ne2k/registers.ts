/**
 * Registers of National Semiconductor's DP8390D (data sheet, section 10.3), by page. Where reads and writes differ,
 * both are named.
 */

/**
 * Ports of an NE2000: the controller's registers, the data port and the reset port, each of the latter two several
 * times.
 */
export const NE2000_PORTS = 32;

/** On all pages. */
export const CR_PORT = 0x00;

export const PAGE0_READ = {
  clda0: 0x01,
  clda1: 0x02,
  bnry: 0x03,
  tsr: 0x04,
  ncr: 0x05,
  fifo: 0x06,
  isr: 0x07,
  crda0: 0x08,
  crda1: 0x09,
  /** The ID of Realtek's chips: "P" and "C". */
  id0: 0x0a,
  id1: 0x0b,
  rsr: 0x0c,
  cntr0: 0x0d,
  cntr1: 0x0e,
  cntr2: 0x0f,
} as const;

export const PAGE0_WRITE = {
  pstart: 0x01,
  pstop: 0x02,
  bnry: 0x03,
  tpsr: 0x04,
  tbcr0: 0x05,
  tbcr1: 0x06,
  isr: 0x07,
  rsar0: 0x08,
  rsar1: 0x09,
  rbcr0: 0x0a,
  rbcr1: 0x0b,
  rcr: 0x0c,
  tcr: 0x0d,
  dcr: 0x0e,
  imr: 0x0f,
} as const;

export const PAGE1 = { par0: 0x01, curr: 0x07, mar0: 0x08 } as const;

/** The registers that are read-only here: the others are for diagnosing the chip. */
export const PAGE2 = {
  pstart: 0x01,
  pstop: 0x02,
  tpsr: 0x04,
  rcr: 0x0c,
  tcr: 0x0d,
  dcr: 0x0e,
  imr: 0x0f,
} as const;

/** The RTL8029AS's page (data sheet, section 5.2.2). */
export const PAGE3 = { cr9346: 0x01, config0: 0x03, config2: 0x05, config3: 0x06 } as const;

/** Command. */
export const CR = {
  stop: 0x01,
  start: 0x02,
  transmit: 0x04,
  remote: 0x38,
  remoteRead: 0x08,
  remoteWrite: 0x10,
  sendPacket: 0x18,
  remoteAbort: 0x20,
  page: 0xc0,
} as const;

/** Interrupt status. */
export const ISR = {
  received: 0x01,
  transmitted: 0x02,
  receiveError: 0x04,
  transmitError: 0x08,
  overwrite: 0x10,
  counter: 0x20,
  remoteComplete: 0x40,
  reset: 0x80,
} as const;
export const IMR_BITS = 0x7f;

/** Data configuration. */
export const DCR = { wordTransfer: 0x01, longAddress: 0x04, normal: 0x08 } as const;

/** Transmit configuration. */
export const TCR = { loopback: 0x06, bits: 0x1f } as const;

/** Transmit status. */
export const TSR = { transmitted: 0x01, aborted: 0x08 } as const;

/** Receive configuration. */
export const RCR = {
  runts: 0x02,
  broadcast: 0x04,
  multicast: 0x08,
  promiscuous: 0x10,
  monitor: 0x20,
  bits: 0x3f,
} as const;

/** Receive status. */
export const RSR = { received: 0x01, group: 0x20, disabled: 0x40 } as const;
