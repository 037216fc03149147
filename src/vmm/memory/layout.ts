/** The layout of a guest's physical address space and ports. Sizes and addresses in bytes. */

const KiB = 2 ** 10;
const MiB = 2 ** 20;
const GiB = 2 ** 30;

/** RAM is contiguous below this, and continues at 4 GiB. */
export const LOW_RAM_END = 3 * GiB;
/**
 * Firmware uses the addresses from 2.75 GiB on for PCI. If RAM would extend beyond that, it ends at 2 GiB, as in QEMU.
 */
export const FIRMWARE_LOW_RAM = { most: 2816 * MiB, end: 2 * GiB } as const;
export const HIGH_RAM_START = 4 * GiB;

/** Conventional memory ends here, at the window of a VGA adapter, which is not RAM. */
export const VGA_WINDOW = { start: 0xa_0000, size: 128 * KiB } as const;
/** From there to 1 MiB a chipset maps RAM or ROM. */
export const SHADOW = { start: 0xc_0000, size: 256 * KiB } as const;

/** 32-bit PCI memory window: BARs. */
export const PCI_MMIO32 = { start: 0xc000_0000, size: 512 * MiB } as const;
/** PCI Express configuration space (ECAM) of buses 0-255: PCI Firmware Specification 3.0 §4.1. */
export const ECAM = { start: 0xe000_0000, size: 256 * MiB, buses: 256 } as const;
/**
 * 64-bit PCI memory window: starts at the first multiple of `align` above RAM, and takes an eighth of all addresses,
 * within these limits.
 */
export const PCI_MMIO64 = { align: 4 * GiB, least: 32 * GiB, most: 1024 * GiB, share: 8 } as const;

export const IOAPIC = 0xfec0_0000;
export const LAPIC = 0xfee0_0000;
/** KVM_SET_IDENTITY_MAP_ADDR (1 page) and KVM_SET_TSS_ADDR (3 pages), as Intel hosts need. */
export const KVM_IDENTITY_MAP = 0xfeff_c000;
export const KVM_TSS = 0xfeff_d000;
/** The 16 MiB up to 4 GiB, at whose end a CPU starts after a reset, are for firmware. */
export const FIRMWARE = { end: 4 * GiB, maxSize: 16 * MiB } as const;

/** Ports for PCI I/O BARs. */
export const PCI_IO = { start: 0xc000, size: 0x4000 } as const;

/** Same, in a machine with firmware, which chooses them: all except the board's ports. */
export const FIRMWARE_PCI_IO = [
  { start: 0x1000, size: 0xae00 - 0x1000 },
  { start: 0xaf00, size: 0x1_0000 - 0xaf00 },
] as const;
/** Offset of the general-purpose events from the first power management port, in a machine with firmware. */
export const GPE0_OFFSET = 0x20;

export { IRQ, PORT } from '../../devices/legacy/pc-ports.ts';

/**
 * General-purpose events, by number: QEMU's for hotplug of PCI devices and CPUs, and ICH9's for power management events
 * of bus 0 (PME_B0).
 */
export const GPE = { pciHotplug: 1, cpuHotplug: 2, pme: 13 } as const;

/** INTx pins reach IOAPIC inputs 16-19: input = 16 + (slot + pin) % 4, pin A = 0. */
export const PCI_INTX_GSI = 16;
export const PCI_INTX_GSIS = 4;

/** Fixed places in low RAM, for the boot code. */
export const LOW_MEMORY = {
  /** GDT, page tables, boot parameters, command line. */
  gdt: 0x500,
  startInfo: 0x6000,
  bootParams: 0x7000,
  bootStack: 0x8ff0,
  pageTables: 0x9000,
  commandLine: 0x2_0000,
  /** End of conventional memory; from there up to 1 MiB is reserved. */
  end: 0x9_fc00,
} as const;
/** ACPI tables for a kernel that boots directly, where guests search for the RSDP (ACPI 6.5 §5.2.5.1). */
export const ACPI_TABLES = { start: 0xe_0000, size: 128 * KiB } as const;
/** Guests search for the entry point of the SMBIOS tables from here to the end of the same area (DSP0134 §5.2.1). */
export const SMBIOS_SEARCH = 0xf_0000;
export const KERNEL_START = 1 * MiB;
