/** Registers of an NVMe controller (NVM Express base specification 1.4 §3.1), as offsets in BAR 0. */
export const REG = {
  /** Controller capabilities, 64 bits. */
  cap: 0x00,
  capHigh: 0x04,
  /** Version. */
  vs: 0x08,
  /** Interrupt mask set and clear, for the pin. */
  intms: 0x0c,
  intmc: 0x10,
  /** Controller configuration and status. */
  cc: 0x14,
  csts: 0x1c,
  /** Admin queue attributes: the sizes of both queues. */
  aqa: 0x24,
  /** Base addresses of the admin queues, 64 bits. */
  asq: 0x28,
  asqHigh: 0x2c,
  acq: 0x30,
  acqHigh: 0x34,
} as const;

/** The parts of BAR 0. Doorbells follow each other without a stride: a pair for each pair of queues (§3.1.25). */
export const SPACE = {
  size: 0x4000,
  doorbells: 0x1000,
  msixTable: 0x2000,
  msixPending: 0x3000,
} as const;
export const DOORBELL_BYTES = 4;

export const VERSION_1_4 = 0x0001_0400;

/** Pairs of queues for I/O, at most. */
export const MAX_QUEUES = 64;
/** Entries of a queue, at most. The admin queues may have as many as AQA can express. */
export const MAX_ENTRIES = 1024;
/** No queue has fewer. */
export const MIN_ENTRIES = 2;

/** Capabilities (§3.1.1), the low and the high half. */
export const CAP = {
  /** Queues are contiguous in memory. */
  contiguous: 1 << 16,
  /** How long CSTS.RDY may take to follow CC.EN, in units of 500 ms. */
  timeoutShift: 24,
} as const;
export const CAP_HIGH = {
  /** The NVM command set. */
  nvmCommands: 1 << 5,
  /** The largest page: 4 KiB times two to the power of this. */
  maxPageShift: 20,
} as const;

/** Pages of 4 KiB to 64 KiB. */
export const MAX_PAGE_SHIFT = 4;

/** Controller configuration (§3.1.5). */
export const CC = {
  enable: 1 << 0,
  commandSet: 0x7 << 4,
  pageShift: 7,
  arbitration: 0x7 << 11,
  shutdown: 0x3 << 14,
  submissionEntryShift: 16,
  completionEntryShift: 20,
  writable: 0x00ff_fff1,
} as const;

/** Controller status (§3.1.6). */
export const CSTS = {
  ready: 1 << 0,
  fatal: 1 << 1,
  shutdownOccurring: 1 << 2,
  shutdownComplete: 2 << 2,
} as const;

/** Entries of the queues (§4.2, §4.6), in bytes, and the powers of two for CC. */
export const SUBMISSION_BYTES = 64;
export const SUBMISSION_SHIFT = 6;
export const COMPLETION_BYTES = 16;
export const COMPLETION_SHIFT = 4;

/** The unit of pages at the smallest setting, and of the largest transfer. */
export const PAGE = 4096;
/** Bytes of a transfer are at most 4 KiB times two to the power of this. */
export const MAX_TRANSFER_SHIFT = 7;
export const MAX_TRANSFER = PAGE << MAX_TRANSFER_SHIFT;
