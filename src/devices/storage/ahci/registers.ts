/** Registers of an AHCI controller (Serial ATA AHCI 1.3.1 §3), as offsets in its memory. */

/** Generic host control (§3.1). */
export const HBA = {
  /** Host capabilities. */
  cap: 0x00,
  /** Global host control. */
  ghc: 0x04,
  /** Interrupt status: a bit for each port. */
  is: 0x08,
  /** Ports implemented. */
  pi: 0x0c,
  /** Version. */
  vs: 0x10,
  /** Host capabilities extended. */
  cap2: 0x24,
} as const;

/** The number of ports of an ICH9. */
export const AHCI_PORTS = 6;
/** The offset of the first port's registers, and the bytes of each port's (§3.3). */
export const PORTS = 0x100;
export const PORT_SIZE = 0x80;

export const PORT = {
  /** Command list base address, and its upper half. */
  clb: 0x00,
  clbu: 0x04,
  /** FIS base address, and its upper half. */
  fb: 0x08,
  fbu: 0x0c,
  /** Interrupt status and enable. */
  is: 0x10,
  ie: 0x14,
  /** Command and status. */
  cmd: 0x18,
  /** Task file data: status and error. */
  tfd: 0x20,
  /** Signature. */
  sig: 0x24,
  /** SATA status, control, error and active. */
  ssts: 0x28,
  sctl: 0x2c,
  serr: 0x30,
  sact: 0x34,
  /** Command issue. */
  ci: 0x38,
} as const;

/** Host capabilities (§3.1.1). */
export const CAP = {
  /** Command slots of a port, minus one. */
  slotsShift: 8,
  /** PIO in several blocks. */
  multipleDrq: 1 << 15,
  /** AHCI only, without a way back to IDE. */
  ahciOnly: 1 << 18,
  /** The fastest speed: generation 3. */
  generation3: 3 << 20,
  /** BSY and DRQ can be cleared by software. */
  commandListOverride: 1 << 24,
  /** Drives spin up on request. */
  staggeredSpinUp: 1 << 27,
  queuing: 1 << 30,
  address64: 0x8000_0000,
} as const;

/** Global host control (§3.1.2). */
export const GHC = { reset: 1 << 0, interrupts: 1 << 1, ahci: 0x8000_0000 } as const;

/** Port interrupt status and enable (§3.3.5). */
export const PORT_IRQ = {
  /** A D2H register FIS with its interrupt bit. */
  registerFis: 1 << 0,
  /** A PIO setup FIS. */
  pioSetup: 1 << 1,
  /** A set device bits FIS. */
  setDeviceBits: 1 << 3,
  /** A PRD with its interrupt bit has been completed. */
  descriptor: 1 << 5,
  /** The connection has changed: follows DIAG.X. */
  connectChange: 1 << 6,
  /** PhyRdy has changed: follows DIAG.N. */
  phyChange: 1 << 22,
  /** The data exceeds the PRDs. */
  overflow: 1 << 24,
  /** A frame that no device accepts. */
  interfaceFatal: 1 << 27,
  /** Host memory did not respond. */
  hostBusFatal: 1 << 29,
  /** The device has set ERR. */
  taskFileError: 1 << 30,
} as const;
/** The bits that software may enable. */
export const PORT_IRQ_MASK = 0xfdc0_007f;

/** Port command and status (§3.3.7). */
export const PORT_CMD = {
  start: 1 << 0,
  spinUp: 1 << 1,
  powerOn: 1 << 2,
  commandListOverride: 1 << 3,
  fisReceive: 1 << 4,
  /** The slot of the current command. */
  currentSlotShift: 8,
  fisRunning: 1 << 14,
  listRunning: 1 << 15,
  /** The device is ATAPI, for the activity light. */
  atapi: 1 << 24,
  linkStateMask: 0xf000_0000,
} as const;

/** SATA status (§3.3.10): device detection, its speed, and that it is awake. */
export const SSTS = {
  none: 0x000,
  /** A device is present, and the connection is established at generation 3. */
  established: 0x133,
  /** A device is present, without a connection. */
  present: 0x001,
  /** The interface is off. */
  offline: 0x004,
} as const;

/** SATA control (§3.3.11): what software requests of the interface. */
export const SCTL = { detectMask: 0xf, noAction: 0, initialize: 1, offline: 4, writable: 0xfff } as const;

/** SATA error (§3.3.12). */
export const SERR = { phyChange: 1 << 16, exchanged: 1 << 26 } as const;

/** The value without a device: BSY and the other bits of a floating bus. */
export const NO_DEVICE_TFD = 0x7f;

/** Bits of a command header in the list (§4.2.2). */
export const COMMAND_HEADER = {
  size: 32,
  /** Dwords of the command FIS. */
  fisLength: 0x1f,
  atapi: 1 << 5,
  /** The command is part of a reset, and BSY is cleared once the FIS has been sent. */
  reset: 1 << 8,
  clearBusy: 1 << 10,
} as const;

/** Offsets in a command table (§4.2.3). */
export const COMMAND_TABLE = { packet: 0x40, descriptors: 0x80, descriptor: 16 } as const;

/** Offsets of received FISes (§4.2.1). */
export const RECEIVED = { size: 256, pioSetup: 0x20, register: 0x40, setDeviceBits: 0x58 } as const;

export const SLOTS = 32;
