import { type Aml, device, eisaId, name, string } from './aml.ts';
import { type Resource, resourceTemplate } from './resources.ts';

/** The High Precision Event Timer block: the low half of its capabilities, and its address. */
export type HpetPlace = { readonly blockId: number; readonly address: number };

/**
 * What a device adds to the machine's ACPI tables: what a guest can't discover. Keep it short, since interpreting AML
 * is slow.
 */
export type AcpiParts = {
  /** Terms of the DSDT's root, such as \_S5. */
  readonly root?: Aml;
  /** Devices under \_SB; their names are unique within the machine. */
  readonly systemBus?: Aml;
  /** Terms of the device of a PCI function; its name and _ADR follow from where it is plugged in. */
  readonly pciFunction?: Aml;
  /** Ports of a PCI function outside its BARs: a guest expects its host bridge to forward them. */
  readonly fixedPorts?: readonly { readonly start: number; readonly size: number }[];
  /** The device is an 8042 keyboard controller (ACPI 6.5 §5.2.9.3). */
  readonly is8042?: boolean;
  readonly hpet?: HpetPlace;
  /** The alarm of the real-time clock wakes the machine, and the fixed hardware reports it. */
  readonly rtcWakes?: boolean;
  /** The device may assert PME#, which wakes the machine. */
  readonly assertsPme?: boolean;
  /**
   * The device is a TPM 2.0: how its commands are started, and the address of its control area (TCG ACPI Specification
   * 1.4 §7.3).
   */
  readonly tpm2?: { readonly startMethod: number; readonly controlArea: number };
};

/**
 * A device under \_SB that its driver finds by its ID of 7 (EISA) or 8 (ACPI) characters: `isaDevice('COM1', 'PNP0501',
 * ports(0x3f8, 8), isaInterrupt(4))`.
 */
export function isaDevice(path: string, id: string, ...resources: Resource[]): Aml {
  const hid = id.length === 8 ? string(id) : eisaId(id);
  return device(path, name('_HID', hid), name('_CRS', resourceTemplate(...resources)));
}
