import { GpeBlock } from '../../devices/acpi/gpe-block.ts';
import type { BusRange, PortBus } from '../../devices/bus.ts';
import type { DeviceState, InterruptLine } from '../../devices/device.ts';
import { AcpiSlots } from '../../devices/pci/acpi-slots.ts';
import type { PciBus } from '../../devices/pci/pci-bus.ts';
import { stateOf } from '../../devices/state.ts';
import { GPE, PORT } from '../memory/layout.ts';

/** ACPI hotplug of the slots of PCI bus 0: its registers, and the events that make the guest read them. */
export class SlotHotplug {
  readonly slots: AcpiSlots;
  readonly eventPorts: BusRange;
  /** The general-purpose events of the machine. */
  readonly events: GpeBlock;

  /** @param removable whether the machine can do without what is in a slot */
  constructor(options: {
    readonly ports: PortBus;
    readonly bus: PciBus;
    readonly sci: InterruptLine;
    readonly removable: (slot: number) => boolean;
    /** The ports of the events. */
    readonly gpe0: number;
  }) {
    const { ports, bus, sci, removable, gpe0 } = options;
    const events = new GpeBlock(sci);
    this.events = events;
    this.slots = new AcpiSlots({
      bus,
      removable,
      notify: () => events.raise(GPE.pciHotplug),
      isEnabled: () => events.enabled(GPE.pciHotplug),
    });
    this.eventPorts = ports.claim('acpi-gpe', gpe0, GpeBlock.size, events);
    ports.claim('acpi-hotplug', PORT.pciHotplug, AcpiSlots.size, this.slots);
  }

  reset(): void {
    this.slots.reset();
    this.events.reset();
  }

  save(): DeviceState {
    return { slots: this.slots.save(), events: this.events.save() };
  }

  /** @throws DeviceStateError */
  load(state: DeviceState): void {
    this.slots.load(stateOf(state, 'slots'));
    this.events.load(stateOf(state, 'events'));
  }
}
