import type { Bus, PortBus } from '../../devices/bus.ts';
import type { BuiltDevice, DeviceType, PowerButton } from '../../devices/device-type.ts';
import type { MachineServices } from '../../devices/machine-services.ts';
import type { PciWindow } from '../../devices/pci/assign.ts';
import { PciHost } from '../../devices/pci/pci-host.ts';
import { type AcpiOptions, buildAcpiTables } from '../acpi/acpi-tables.ts';
import type { TableFiles } from '../acpi/table-loader.ts';
import type { DeviceLabel } from '../machine/topology.ts';
import * as layout from '../memory/layout.ts';

export type ChipsetOptions = {
  readonly ports: PortBus;
  readonly memory: Bus;
  readonly services: Pick<MachineServices, 'interruptLine' | 'allocateMsi' | 'request'>;
  /** Where guest RAM ends, in bytes. */
  readonly ramEnd: number;
};

/** A device of a machine, and what its row says about it. */
type Part = {
  readonly type: DeviceType;
  readonly built: BuiltDevice;
};

/**
 * What connects the devices of a machine: the PCI host with its windows and interrupts, the legacy ports, and the description of
 * all that for the guest.
 */
export class Chipset {
  readonly pci: PciHost;
  readonly #ports: PortBus;
  readonly #memory64: PciWindow;
  readonly #parts: Part[] = [];

  constructor({ ports, memory, services, ramEnd }: ChipsetOptions) {
    this.#ports = ports;
    this.#memory64 = memory64Window(ramEnd);
    this.pci = new PciHost({
      ports,
      memory,
      configPort: layout.PORT.pciConfigAddress,
      ecam: layout.ECAM,
      windows: { io: layout.PCI_IO, memory32: layout.PCI_MMIO32, memory64: this.#memory64 },
      interrupts: {
        first: layout.PCI_INTX_GSI,
        count: layout.PCI_INTX_GSIS,
        line: gsi => services.interruptLine(gsi),
      },
      allocateMsi: services.allocateMsi,
      request: services.request,
    });
  }

  /** Connects a device. @throws an error for the user */
  attach(type: DeviceType, built: BuiltDevice): void {
    const { device, ports = [], pci } = built;
    for (const { start, size, handler } of ports) this.#ports.claim(device.name, start, size, handler);
    if (pci !== undefined) this.pci.plug(pci);
    this.#parts.push({ type, built });
  }

  /** The devices, in the order in which they were attached. */
  get devices(): readonly BuiltDevice[] {
    return this.#parts.map(({ built }) => built);
  }

  get labels(): readonly DeviceLabel[] {
    return this.#parts.map(({ type: { type, title, backend }, built: { device, facts = [], pci } }) => ({
      ...{ name: device.name, type, title, backend: backend ?? null, facts },
      pci: pci === undefined ? null : this.pci.addressOf(pci),
    }));
  }

  /** The power button of the machine, whichever of its devices have one. */
  get powerButton(): PowerButton {
    const buttons = this.#parts.flatMap(({ built }) => built.capabilities?.powerButton ?? []);
    return {
      press: () => {
        for (const button of buttons) button.press();
      },
      get enabled() {
        return buttons.some(({ enabled }) => enabled);
      },
    };
  }

  /** The ACPI tables of the machine as it is now. */
  acpiTables(cpus: Pick<AcpiOptions, 'apicIds' | 'presentCpus' | 'numa'>): TableFiles {
    return buildAcpiTables({
      ...cpus,
      mmio64: this.#memory64,
      intxSlots: this.pci.interruptSlots,
      parts: this.#parts.flatMap(({ built: { acpi, pci } }) => {
        if (acpi === undefined) return [];
        // The tables have devices of bus 0: others may come and go.
        return [pci?.bus === this.pci.root ? { ...acpi, at: pci.place } : acpi];
      }),
    });
  }
}

/** The window of 64-bit BARs: above RAM and everything else. */
function memory64Window(ramEnd: number): PciWindow {
  const above = Math.max(ramEnd, layout.HIGH_RAM_START);
  const start = Math.ceil(above / layout.PCI_MMIO64_ALIGN) * layout.PCI_MMIO64_ALIGN;
  return { start, size: layout.PCI_MMIO64_SIZE };
}
