/**
 * Offsets in the PCI Express capability (PCI Express Base 4.0 §7.5.3), and the bytes that follow ID and next pointer.
 */
export const PCIE = {
  capabilities: 2,
  deviceCapabilities: 4,
  deviceControl: 8,
  deviceStatus: 10,
  linkCapabilities: 12,
  linkControl: 16,
  linkStatus: 18,
  slotCapabilities: 20,
  slotControl: 24,
  slotStatus: 26,
  rootControl: 28,
  linkCapabilities2: 44,
  body: 58,
} as const;

/** Types of functions, in bits 7-4 of the capabilities register (§7.5.3.2). */
export const EXPRESS_TYPE = {
  endpoint: 0x0,
  legacyEndpoint: 0x1,
  rootPort: 0x4,
  toPciBridge: 0x7,
  rootComplexEndpoint: 0x9,
} as const;

export const LINK_STATUS = {
  /** Data link layer link active, for a port that reports it. */
  active: 1 << 13,
} as const;

/** Speed, and width at bit 4, in link capabilities and link status (§7.5.3.6, §7.5.3.8). */
export const LINK = { mask: 0x3ff, speed: 0xf } as const;

export const LINK_CAPABILITIES = { reportsActive: 1 << 20 } as const;
