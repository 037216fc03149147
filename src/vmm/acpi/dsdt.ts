import type { AcpiParts } from '../../devices/acpi/acpi-parts.ts';
import { isaDevice } from '../../devices/acpi/acpi-parts.ts';
import { type Aml, concat, device, eisaId, integer, name, packageOf, scope } from '../../devices/acpi/aml.ts';
import {
  busWindow,
  memory32,
  memoryWindow32,
  memoryWindow64,
  ports,
  portWindow,
  resourceTemplate,
} from '../../devices/acpi/resources.ts';
import type { PciPlace } from '../../devices/pci/pci-function.ts';
import { ECAM, PCI_INTX_GSI, PCI_INTX_GSIS, PCI_IO, PCI_MMIO32, PORT } from '../memory/layout.ts';
import { cpuHotplugEvent } from './cpu-hotplug.ts';
import { hostBridgeControl } from './host-bridge-control.ts';
import { pmeEvent, pmeWakes } from './pme.ts';
import { ejectableSlot, functionDevice, hotplugEvent, hotplugMethods } from './slot-hotplug.ts';
import { systemTable } from './table.ts';

const INTX_PINS = 4;
/** Linux ignores a window of a single port. */
const LEAST_WINDOW = 2;

export type AcpiRange = { readonly start: number; readonly size: number };

export type DsdtOptions = {
  /** The window for 64-bit PCI BARs. */
  readonly mmio64: AcpiRange;
  /** What firmware has placed; default: everything is where a machine without firmware has it. */
  readonly placed?: {
    /** Null if there is none. */
    readonly ecam: (AcpiRange & { readonly buses: number }) | null;
    /** The windows for other PCI BARs. */
    readonly io: readonly AcpiRange[];
    readonly mmio32: readonly AcpiRange[];
    /** Other reserved memory. */
    readonly reserved: readonly AcpiRange[];
    /** The first power management port. */
    readonly pmBase: number;
    /** The first port of the general-purpose events. */
    readonly gpe0: number;
    /** The interrupt input of a slot's pin, counted from PCI's first one. */
    readonly interruptOf: (slot: number, pin: number) => number;
  };
  /** Slots on bus 0 with a device that has an INTx pin. Keep it short: interpreting AML takes much of a slow boot. */
  readonly intxSlots: readonly number[];
  /** Whether there are root ports, whose slots the guest may manage. */
  readonly rootPorts: boolean;
  /** Slots of bus 0 that support hot plug. */
  readonly hotplugSlots: readonly number[];
  /** What the machine's devices add. */
  readonly parts: readonly (AcpiParts & { readonly at?: PciPlace })[];
};

/**
 * Differentiated System Description Table: the parts of the machine that a guest can't discover.
 * @param cpus the devices of its processors; null if they need none
 */
export function dsdt(options: DsdtOptions, cpus: Aml | null = null): Uint8Array {
  const { parts, hotplugSlots } = options;
  const systemBus = scope(
    '_SB',
    hostBridge(options),
    ...(cpus === null ? [] : [cpus]),
    ...parts.flatMap(({ systemBus }) => systemBus ?? []),
    isaDevice('MBRD', 'PNP0C02', ...taken(options).map(({ start, size }) => memory32(start, size))),
  );
  return systemTable(
    'DSDT',
    2,
    concat(
      ...parts.flatMap(({ root }) => root ?? []),
      systemBus,
      ...(hotplugSlots.length > 0 ? [hotplugEvent()] : []),
      ...(cpus === null ? [] : [cpuHotplugEvent()]),
      ...(hasPme(options) ? [pmeEvent()] : []),
    ),
  );
}

/** Memory that belongs to the board rather than to a PCI device. */
function taken({ placed }: DsdtOptions): readonly AcpiRange[] {
  if (placed === undefined) return [ECAM];
  return [...(placed.ecam === null ? [] : [placed.ecam]), ...placed.reserved];
}

/** Whether any device may assert PME#. */
function hasPme({ parts }: DsdtOptions): boolean {
  return parts.some(({ assertsPme }) => assertsPme);
}

function hostBridge(options: DsdtOptions): Aml {
  const { parts, mmio64, intxSlots, rootPorts, hotplugSlots, placed } = options;
  const { io, mmio32 } = placed ?? { io: [PCI_IO], mmio32: [PCI_MMIO32] };
  const interruptOf = placed?.interruptOf ?? rotated;
  const configEnd = PORT.pciConfigData + 4;
  const windows = resourceTemplate(
    busWindow(0, placed?.ecam?.buses ?? ECAM.buses),
    ports(PORT.pciConfigAddress, configEnd - PORT.pciConfigAddress),
    ...io.map(({ start, size }) => portWindow(start, size)),
    ...parts
      .flatMap(({ fixedPorts = [] }) => fixedPorts)
      .map(({ start, size }) => portWindow(start, Math.max(size, LEAST_WINDOW))),
    ...mmio32.map(({ start, size }) => memoryWindow32(start, size)),
    memoryWindow64(mmio64.start, mmio64.size),
  );
  return device(
    'PCI0',
    name('_HID', eisaId('PNP0A08')),
    name('_CID', eisaId('PNP0A03')),
    name('_CRS', windows),
    ...(rootPorts ? [hostBridgeControl()] : []),
    ...(hasPme(options) ? [pmeWakes()] : []),
    kept(`routing ${placed !== undefined} ${intxSlots}`, () =>
      name('_PRT', packageOf(...intxSlots.flatMap(slot => slotRouting(slot, interruptOf)))),
    ),
    ...(hotplugSlots.length > 0 ? [kept(`methods ${hotplugSlots}`, () => hotplugMethods(hotplugSlots))] : []),
    ...functionDevices(options),
  );
}

/** Devices for functions of bus 0: those to which a device adds terms, and those of hot-plug slots. */
function functionDevices({ parts, hotplugSlots }: DsdtOptions): Aml[] {
  const isSlot = ({ slot, function: fn }: PciPlace) => fn === 0 && hotplugSlots.includes(slot);
  const added = parts.flatMap(({ at, pciFunction }) => (at && pciFunction ? [{ at, pciFunction }] : []));
  return [
    ...hotplugSlots.map(slot => {
      const terms = added.filter(({ at }) => at.slot === slot && isSlot(at)).map(each => each.pciFunction);
      const place = { slot, function: 0 };
      return terms.length === 0
        ? kept(`slot ${slot}`, () => functionDevice(place, ejectableSlot(slot)))
        : functionDevice(place, ejectableSlot(slot), ...terms);
    }),
    ...added.filter(({ at }) => !isSlot(at)).map(({ at, pciFunction }) => functionDevice(at, pciFunction)),
  ];
}

/** Terms that are the same in most machines, built once per process, at its rehearsal; keyed by name. */
const KEPT = new Map<string, Aml>();

function kept(what: string, build: () => Aml): Aml {
  let terms = KEPT.get(what);
  if (terms === undefined) {
    terms = build();
    KEPT.set(what, terms);
  }
  return terms;
}

/** PCI routing table entries (ACPI 6.5 §6.2.13) of one slot: pins wired to IOAPIC inputs, no link devices. */
function slotRouting(slot: number, interruptOf: (slot: number, pin: number) => number): Aml[] {
  return Array.from({ length: INTX_PINS }, (_, pin) => {
    const gsi = PCI_INTX_GSI + interruptOf(slot, pin);
    return packageOf(integer(slot * 0x1_0000 + 0xffff), integer(pin), integer(0), integer(gsi));
  });
}

function rotated(slot: number, pin: number): number {
  return (slot + pin) % PCI_INTX_GSIS;
}
