/** Offsets and bits of PCI configuration space (PCI Local Bus 3.0 §6.1, PCI-to-PCI Bridge 1.2 §3.2). */

export const REG = {
  vendor: 0x00,
  device: 0x02,
  command: 0x04,
  status: 0x06,
  revision: 0x08,
  /** 24 bits: programming interface, subclass, base class. */
  classCode: 0x09,
  cacheLineSize: 0x0c,
  latencyTimer: 0x0d,
  headerType: 0x0e,
  bar0: 0x10,
  capabilities: 0x34,
  interruptLine: 0x3c,
  interruptPin: 0x3d,

  // Type 0 headers
  cardbusCis: 0x28,
  subsystemVendor: 0x2c,
  subsystem: 0x2e,
  rom: 0x30,
  minGrant: 0x3e,
  maxLatency: 0x3f,

  // Type 1 headers (bridges)
  primaryBus: 0x18,
  secondaryBus: 0x19,
  subordinateBus: 0x1a,
  ioBase: 0x1c,
  ioLimit: 0x1d,
  secondaryStatus: 0x1e,
  memoryBase: 0x20,
  memoryLimit: 0x22,
  prefetchBase: 0x24,
  prefetchLimit: 0x26,
  prefetchBaseUpper: 0x28,
  prefetchLimitUpper: 0x2c,
  bridgeControl: 0x3e,

  /** The lowest offset of a capability. */
  firstCapability: 0x40,
} as const;

/** Bits of the header type. `multifunction`: the slot has several functions. */
export const HEADER = { type: 0x7f, multifunction: 0x80 } as const;

export const COMMAND = {
  io: 0x001,
  memory: 0x002,
  busMaster: 0x004,
  parityResponse: 0x040,
  serr: 0x100,
  interruptDisable: 0x400,
} as const;

export const STATUS = { interrupt: 0x08, capabilities: 0x10 } as const;

/** Status bits that the guest clears by writing ones: error reports. */
export const STATUS_CLEARABLE = 0xf900;

export const CAPABILITY = {
  powerManagement: 0x01,
  msi: 0x05,
  vendor: 0x09,
  pciExpress: 0x10,
  msix: 0x11,
  sata: 0x12,
  advancedFeatures: 0x13,
} as const;

/** The size of conventional configuration space, and with the extended part (PCI Express Base 4.0 §7.2). */
export const CONFIG_SIZE = 256;
export const EXTENDED_CONFIG_SIZE = 4096;

/** Bit of a bridge's control register: resets the secondary bus. */
export const BRIDGE_CONTROL = { secondaryReset: 0x40 } as const;

/** Low bits of a BAR. */
export const BAR_TYPE = { io: 0x1, memory32: 0x0, memory64: 0x4, prefetchable: 0x8 } as const;
