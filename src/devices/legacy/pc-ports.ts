/**
 * Fixed I/O ports. Those for ACPI and debugging are specific to this machine; the others are where every PC has them.
 */
export const PORT = {
  i8042Data: 0x60,
  i8042Command: 0x64,
  rtc: 0x70,
  postCode: 0x80,
  /** A20 gate and a fast reset. */
  port92: 0x92,
  /** APM control and status, of a machine with firmware. */
  apm: 0xb2,
  debugExit: 0xf4,
  /** A floppy controller: six ports, and one more; the port in between belongs to an IDE controller. */
  fdc: 0x3f0,
  fdcEnd: 0x3f7,
  com1: 0x3f8,
  debugConsole: 0x402,
  /** QEMU's firmware configuration device: selector, data, DMA address (12 ports). */
  fwCfg: 0x510,
  /** ACPI fixed hardware: PM1a event block (4 bytes), PM1a control (2), PM timer (4). */
  pm1Event: 0x600,
  pm1Control: 0x604,
  pmTimer: 0x608,
  /** ACPI general-purpose events: status (2 bytes), enable (2). */
  gpe0: 0x610,
  /** ACPI hot plug of the slots of PCI bus 0, at QEMU's address. */
  pciHotplug: 0xae00,
  /** ACPI hot plug of CPUs (12 ports), where a q35 of QEMU has it. */
  cpuHotplug: 0xcd8,
  pciConfigAddress: 0xcf8,
  /** Reset control register, inside the 0xcf8 range (written as a byte). */
  reset: 0xcf9,
  pciConfigData: 0xcfc,
} as const;

/** ISA interrupts. */
export const IRQ = { timer: 0, keyboard: 1, com1: 4, floppy: 6, rtc: 8, sci: 9, mouse: 12 } as const;
