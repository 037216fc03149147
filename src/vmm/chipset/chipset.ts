import { CpuHotplug, type CpuHotplugOptions } from '../../devices/acpi/cpu-hotplug.ts';
import { firmwarePath } from '../../devices/boot-device.ts';
import type { Bus, BusRange, PortBus } from '../../devices/bus.ts';
import { LPC_PLACE } from '../../devices/chipset/lpc-bridge.ts';
import type { DeviceState, WakeSource } from '../../devices/device.ts';
import type { DeviceRow } from '../../devices/device-table.ts';
import {
  type BuiltDevice,
  type BusAddress,
  type CmosBits,
  type DeviceBus,
  isHotpluggable,
  type MemoryRange,
  type PortRange,
  type PowerButton,
  type SleepControl,
} from '../../devices/device-type.ts';
import type { ScreenControl } from '../../devices/display/screen-frame.ts';
import type { MachineServices } from '../../devices/machine-services.ts';
import { busBehind } from '../../devices/pci/bridge-rows.ts';
import type { PciFunction, PciPlace } from '../../devices/pci/pci-function.ts';
import { type EcamPlace, PciHost } from '../../devices/pci/pci-host.ts';
import type { PciHotplug } from '../../devices/pci/pci-hotplug.ts';
import { FIRST_PORT_SLOT } from '../../devices/pci/placement.ts';
import { addressText, type DevicePlace, pciAddressText } from '../../devices/places.ts';
import { stateOf } from '../../devices/state.ts';
import { type AcpiOptions, buildAcpiTables } from '../acpi/acpi-tables.ts';
import type { TableFiles } from '../acpi/table-loader.ts';
import type { BootCandidate } from '../boot/boot-order.ts';
import type { DeviceLabel, MachinePlaces } from '../machine/topology.ts';
import * as layout from '../memory/layout.ts';
import { memory64Window } from './memory64.ts';
import { Q35, type Q35Options } from './q35.ts';
import { SlotHotplug } from './slot-hotplug.ts';

export type ChipsetOptions = {
  readonly ports: PortBus;
  readonly memory: Bus;
  readonly services: Pick<MachineServices, 'interruptLine' | 'allocateMsi' | 'request' | 'memory'>;
  /** The end of guest RAM, in bytes. */
  readonly ramEnd: number;
  /** Root ports that are not devices; default: none. */
  readonly rootPorts?: {
    /** The addresses of the first ones. */
    readonly at: readonly PciPlace[];
    /** Number of further ones, which go where the devices that are attached first leave room. */
    readonly spare: number;
  };
  /** For a machine with firmware: what firmware needs to find. Default: a kernel is booted directly. */
  readonly firmware?: Pick<Q35Options, 'space' | 'shadow' | 'flash'>;
  /** vCPUs that may come and go; default: they stay as they are. */
  readonly cpus?: Pick<CpuHotplugOptions, 'apicIds' | 'isPresent'>;
  /** Physical address bits of the guest's CPUs; default: 40. */
  readonly addressBits?: number;
};

/** The shutdown status byte of CMOS RAM, by which QEMU tells firmware that the machine wakes up from S3. */
const WOKEN_UP: CmosBits = { register: 0x0f, mask: 0xff, value: 0xfe };

/** A device of a machine, with the facts in its row. */
export type ChipsetPart = {
  readonly type: DeviceRow;
  readonly built: BuiltDevice;
  /** Default: the bus that every machine has for this kind, at any address. */
  readonly place?: DevicePlace;
};

/** Connects a machine's devices: PCI host, windows, interrupts, legacy ports, and their description for the guest. */
export class Chipset {
  readonly pci: PciHost;
  /** ACPI hotplug of the slots of bus 0. */
  readonly slots: SlotHotplug;
  /** ACPI hotplug of vCPUs; null if they stay as they are. */
  readonly cpus: CpuHotplug | null;
  /** What firmware expects to find; null without firmware. */
  readonly q35: Q35 | null;
  readonly #ports: PortBus;
  readonly #memory: Bus;
  /** By name. */
  readonly #buses: Map<string, DeviceBus>;
  readonly #parts: ChipsetPart[] = [];
  readonly #lowRamEnd: number;
  /** Number of root ports still to be added. */
  #spareRootPorts = 0;
  /** The ports and memory of each part. */
  readonly #ranges = new Map<ChipsetPart, readonly BusRange[]>();

  constructor({
    ports,
    memory,
    services,
    ramEnd,
    addressBits = 40,
    rootPorts = { at: [], spare: 0 },
    firmware,
    cpus,
  }: ChipsetOptions) {
    this.#ports = ports;
    this.#memory = memory;
    const onEcam = (place: EcamPlace | null) => this.pci.placeEcam(place);
    const q35 = firmware ? new Q35({ ports, ...firmware, services, onEcam }) : null;
    this.q35 = q35;
    this.#lowRamEnd = services.memory.regions.find(({ address }) => address === 0)?.size ?? 0;
    const { window: memory64, end: memory64End } = memory64Window(ramEnd, addressBits);
    this.pci = new PciHost({
      ports,
      memory,
      configPort: layout.PORT.pciConfigAddress,
      ecam: q35 === null ? layout.ECAM : null,
      ...(q35 && { bridge: q35.hostBridge, hasFirmware: true }),
      windows: { io: layout.PCI_IO, memory32: layout.PCI_MMIO32, memory64 },
      memory64End,
      interrupts: {
        first: layout.PCI_INTX_GSI,
        count: layout.PCI_INTX_GSIS,
        line: gsi => (q35 === null ? services.interruptLine(gsi) : q35.pirqs.line(gsi)),
        ...(q35 && { input: Q35.interruptOf }),
      },
      allocateMsi: services.allocateMsi,
      request: services.request,
    });
    this.slots = new SlotHotplug({
      ports,
      bus: this.pci.root,
      sci: services.interruptLine(layout.IRQ.sci),
      removable: slot => this.#isRemovable(slot),
      gpe0: q35 === null ? layout.PORT.gpe0 : layout.PORT.pm1Event + layout.GPE0_OFFSET,
    });
    const { events } = this.slots;
    this.cpus = cpus
      ? new CpuHotplug({
          ...cpus,
          notify: () => events.raise(layout.GPE.cpuHotplug),
          isEnabled: () => events.enabled(layout.GPE.cpuHotplug),
        })
      : null;
    if (this.cpus !== null)
      ports.claim('acpi-cpu-hotplug', layout.PORT.cpuHotplug, CpuHotplug.size, this.cpus);
    if (q35 !== null) {
      this.pci.root.plug(q35.lpc, LPC_PLACE);
      q35.movesWithPm(this.slots.eventPorts, layout.GPE0_OFFSET);
    }
    this.#buses = new Map([
      ['pci.0', rootBus(this.pci, this.slots.slots)],
      ['isa.0', ISA_BUS],
    ]);
    for (const place of rootPorts.at) this.pci.addRootPort(place);
    this.#spareRootPorts = rootPorts.spare;
    this.#nameRootPorts();
  }

  /** Connects devices: those with an address first, before others can take it. @throws an error for the user */
  attach(...parts: readonly ChipsetPart[]): void {
    for (let waiting = parts; waiting.length > 0; ) {
      const ready = waiting.filter(part => this.#buses.has(busOf(part)));
      const [first] = waiting;
      if (ready.length === 0)
        throw new Error(`${first!.built.device.name}: there is no bus "${busOf(first!)}"`);
      // Devices that provide buses come before those behind them.
      this.#parts.push(...ready);
      const placed = ready.filter(({ place }) => place?.address);
      for (const part of [...placed, ...ready.filter(part => !placed.includes(part))]) this.#attach(part);
      for (; this.#spareRootPorts > 0; this.#spareRootPorts--) this.pci.addRootPort();
      this.#nameRootPorts();
      waiting = waiting.filter(part => !ready.includes(part));
    }
  }

  #attach(part: ChipsetPart): void {
    const { built, place } = part;
    const { device, ports = [], memory = [], bus } = built;
    this.#checkPorts(part);
    const claim = (space: Bus, { start, size, handler }: PortRange | MemoryRange) =>
      space.claim(device.name, start, size, handler);
    const claimed = ports.map(range => claim(this.#ports, range));
    this.#ranges.set(part, [...claimed, ...memory.map(range => claim(this.#memory, range))]);
    for (const range of claimed) if (range.start === layout.PORT.pm1Event) this.q35?.movesWithPm(range, 0);
    this.#buses.get(busOf(part))!.attach(built, place?.address ?? null);
    if (bus !== undefined) this.#buses.set(device.name, bus);
  }

  /**
   * Disconnects a device: its guest can no longer access any of it. The caller still has to quiesce and close it.
   * @throws Error if there is no such device, or another one is on the bus that it provides
   */
  detach(name: string): BuiltDevice {
    const part = this.#parts.find(({ built }) => built.device.name === name);
    if (part === undefined) throw new Error(`there is no device "${name}"`);
    const dependent = this.#parts.find(other => busOf(other) === name);
    if (dependent !== undefined)
      throw new Error(`"${dependent.built.device.name}" is on the bus of "${name}": unplug it first`);
    this.#parts.splice(this.#parts.indexOf(part), 1);
    this.#buses.get(busOf(part))?.detach?.(part.built);
    for (const range of this.#ranges.get(part) ?? []) range.remove();
    this.#ranges.delete(part);
    this.#buses.delete(name);
    part.built.pci?.close();
    return part.built;
  }

  /** Adds the buses behind root ports that are not devices, by name. */
  #nameRootPorts(): void {
    for (const port of this.pci.ownRootPorts)
      if (!this.#buses.has(port.name)) this.#buses.set(port.name, busBehind(port));
  }

  /** Whether everything in a slot of bus 0 may be unplugged while the machine runs. */
  #isRemovable(slot: number): boolean {
    return this.pci.root.functionsOf(slot).every(fn => {
      const part = this.#partOf(fn);
      return part !== undefined && isHotpluggable(part.type);
    });
  }

  /** Slots of bus 0 that support hot plug. */
  get #hotplugSlots(): number[] {
    const { root } = this.pci;
    return Array.from({ length: root.slots }, (_, slot) => slot).filter(slot => {
      const isFree = root.functionsOf(slot).length === 0;
      return isFree ? slot < FIRST_PORT_SLOT : this.#isRemovable(slot);
    });
  }

  #partOf(fn: PciFunction): ChipsetPart | undefined {
    return this.#parts.find(({ built }) => built.pci === fn);
  }

  /** @throws an error for the user if the ports of a device are taken */
  #checkPorts({ built: { device, ports = [] } }: ChipsetPart): void {
    for (const { start, size } of ports) {
      const other = [...this.#ranges.keys()].find(({ built }) =>
        built.ports?.some(range => range.start < start + size && start < range.start + range.size),
      );
      if (other === undefined) continue;
      const [first, last] = [start, start + size - 1].map(port => `0x${port.toString(16)}`);
      throw new Error(
        `device ${device.name} cannot have the ports ${first} to ${last}: ${other.built.device.name} has some of them; choose others`,
      );
    }
  }

  /** The devices with the facts in their rows, in the order in which they were attached. */
  get parts(): readonly ChipsetPart[] {
    return this.#parts;
  }

  /** The devices, in the order in which they were attached. */
  get devices(): readonly BuiltDevice[] {
    return this.#parts.map(({ built }) => built);
  }

  get labels(): readonly DeviceLabel[] {
    return this.#parts.map(part => {
      const { type, title, backend = null } = part.type;
      const { device, facts = [], pci, capabilities } = part.built;
      const address = pci === undefined ? this.#unitOf(part) : this.pci.addressOf(pci);
      const hostDevice = capabilities?.hostDevice?.facts;
      const label = { name: device.name, type, title, backend, bus: this.busOf(part), address, facts };
      const balloon = capabilities?.balloon?.facts;
      const screen = capabilities?.screen && { screen: true as const };
      const drive = capabilities?.disk?.drive && { drive: true as const };
      return {
        ...label,
        ...(hostDevice && { hostDevice }),
        ...(balloon && { balloon }),
        ...screen,
        ...drive,
      };
    });
  }

  /** The addresses of the configured devices, and of the root ports that are not devices. */
  get places(): MachinePlaces {
    const devices = this.#parts
      .filter(({ type }) => type.builtin !== true)
      .map(part => {
        const { pci, device } = part.built;
        const address = this.#placeOf(part);
        const addr = pci?.bus ? addressOf(pci) : address && addressText(part.type.bus, address);
        return { name: device.name, bus: this.busOf(part), addr };
      });
    return { rootPorts: this.pci.ownRootPorts.map(addressOf), devices };
  }

  /** The address of a device that is not on PCI. */
  #placeOf(part: ChipsetPart): BusAddress | null {
    return this.#buses.get(busOf(part))?.addressOf?.(part.built) ?? part.place?.address ?? null;
  }

  /** Same, for screens. */
  #unitOf(part: ChipsetPart): string | null {
    const address = this.#placeOf(part);
    if (address === null) return null;
    if (part.type.bus === 'scsi') return addressText('scsi', address);
    return `${part.type.bus === 'usb' ? 'port' : 'unit'} ${address.unit}`;
  }

  /** The part of a device; undefined if there is none of this name. */
  part(name: string): ChipsetPart | undefined {
    return this.#parts.find(({ built }) => built.device.name === name);
  }

  /** The bus with this name; undefined if there is none. */
  bus(name: string): DeviceBus | undefined {
    return this.#buses.get(name);
  }

  /** The buses that support hot plug, with their names. */
  get hotplugs(): readonly { readonly name: string; readonly hotplug: PciHotplug }[] {
    return [...this.#buses].flatMap(([name, { hotplug }]) =>
      hotplug === undefined ? [] : [{ name, hotplug }],
    );
  }

  /** All devices in the same slot as a device, including itself: they are unplugged together. */
  slotMates({ built: { pci } }: ChipsetPart): readonly ChipsetPart[] {
    if (!pci?.bus) return [];
    return this.#parts.filter(
      ({ built }) => built.pci?.bus === pci.bus && built.pci?.place.slot === pci.place.slot,
    );
  }

  /** The name of the bus that a device is on. This may differ from the configured one if that was full. */
  busOf(part: ChipsetPart): string {
    const { bus } = part.built.pci ?? {};
    const port = bus && this.pci.ownRootPorts.find(({ secondary }) => secondary === bus);
    return port?.name ?? busOf(part);
  }

  /** Writes the values that its devices want firmware to find in CMOS RAM. */
  setCmos(): void {
    for (const { built } of this.#parts) for (const bits of built.cmos ?? []) this.#setCmos(bits);
  }

  #setCmos(bits: CmosBits): void {
    for (const { built } of this.#parts) built.capabilities?.cmos?.set(bits);
  }

  /** What firmware can boot from, in the order of the devices. */
  get bootCandidates(): readonly BootCandidate[] {
    return this.#parts.flatMap(part => {
      const { boot, pci } = part.built;
      const provider = this.part(this.busOf(part));
      // Devices on the ISA bus are behind its bridge.
      const controller =
        pci ?? provider?.built.pci ?? (provider?.type.bus === 'isa' ? this.q35?.lpc : undefined);
      if (boot === undefined || controller === undefined) return [];
      const { kind, index } = boot;
      const { node = 'scsi', below } = boot.below === undefined ? { ...provider?.built.bus?.bootPath } : boot;
      if (below === undefined) return [];
      const address = typeof below === 'string' ? null : this.#placeOf(part);
      const end = typeof below === 'string' ? below : address && below(address);
      const path = firmwarePath(controller, node, this.pci.bridgesAbove(controller));
      return end === null ? [] : [{ kind, index, path: path + end }];
    });
  }

  /** Resets it to the state after power-on; call it after its devices' reset. */
  reset(): void {
    // First remove what is leaving, then assign addresses to what stays.
    this.slots.reset();
    this.cpus?.reset();
    this.pci.reset();
    this.q35?.reset();
  }

  /** Whether the guest sleeps in S3. */
  get asleep(): boolean {
    return this.#sleepers.some(({ asleep }) => asleep);
  }

  /** Whether the guest has enabled this wake-up source. */
  wakesBy(by: WakeSource): boolean {
    if (by === 'network') return this.slots.events.enabled(layout.GPE.pme);
    return this.#sleepers.some(sleeper => sleeper.wakesBy(by));
  }

  /** A device asserts PME#. */
  assertPme(): void {
    this.slots.events.raise(layout.GPE.pme);
  }

  /**
   * Resets it to the state after S3; call it after its devices. What firmware has placed stays there. CMOS RAM tells
   * firmware that this is not a reset.
   */
  wake(by: WakeSource): void {
    this.slots.reset();
    this.cpus?.wake();
    this.pci.wake();
    this.q35?.wake();
    this.#setCmos(WOKEN_UP);
    for (const sleeper of this.#sleepers) sleeper.wake(by);
    if (by === 'network') this.assertPme();
  }

  get #sleepers(): readonly SleepControl[] {
    return this.#parts.flatMap(({ built }) => built.capabilities?.sleep ?? []);
  }

  /** The state of everything that is not a device. */
  save(): DeviceState {
    return {
      slots: this.slots.save(),
      ...(this.cpus && { cpus: this.cpus.save() }),
      ...(this.q35 && { q35: this.q35.save() }),
    };
  }

  /** @throws DeviceStateError */
  load(state: DeviceState): void {
    this.slots.load(stateOf(state, 'slots'));
    // Absent from the states of versions that could not add vCPUs.
    if (state.cpus !== undefined) this.cpus?.load(stateOf(state, 'cpus'));
    this.q35?.load(stateOf(state, 'q35'));
  }

  /** The screens of its devices. */
  get screens(): readonly ScreenControl[] {
    return this.#parts.flatMap(({ built }) => built.capabilities?.screen ?? []);
  }

  /** The power button of the machine, which drives all devices that have one. */
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

  /** The present or possible window of 64-bit BARs. */
  get #memory64(): { readonly start: number; readonly size: number } {
    const used = this.q35 && this.pci.assignedFrom(layout.HIGH_RAM_START);
    if (!used) return this.pci.memory64;
    const GiB = 2 ** 30;
    const start = Math.floor(used.start / GiB) * GiB;
    return { start, size: Math.ceil(used.end / GiB) * GiB - start };
  }

  /** The ACPI tables of the machine in its present state. */
  acpiTables(cpus: Pick<AcpiOptions, 'apicIds' | 'isPresent' | 'numa'>): TableFiles {
    const hotplugSlots = this.#hotplugSlots;
    return buildAcpiTables({
      ...cpus,
      cpuHotplug: this.cpus !== null,
      mmio64: this.#memory64,
      ...(this.q35 && { placed: this.q35.placed(this.pci.ecam, this.#lowRamEnd) }),
      intxSlots: [...new Set([...this.pci.interruptSlots, ...hotplugSlots])].sort((a, b) => a - b),
      rootPorts: this.pci.rootPorts.length > 0,
      hotplugSlots,
      parts: this.#parts.flatMap(({ built: { acpi, pci } }) => {
        if (acpi === undefined) return [];
        // Only devices on bus 0 are in the tables: others may come and go.
        return [pci?.bus === this.pci.root ? { ...acpi, at: pci.place } : acpi];
      }),
    });
  }
}

function busOf({ type, place }: ChipsetPart): string {
  return place?.bus ?? `${type.bus}.0`;
}

function addressOf({ place }: PciFunction): string {
  return pciAddressText({ unit: place.slot, function: place.function });
}

function rootBus(host: PciHost, hotplug: PciHotplug): DeviceBus {
  return {
    hotplug,
    attach: ({ pci }, address) => {
      if (pci === undefined) return;
      if (address === null) host.plug(pci);
      else host.root.plug(pci, { slot: address.unit, function: address.function });
    },
  };
}

/** A bus whose devices are accessed by their ports and memory alone. */
const ISA_BUS: DeviceBus = { attach: () => {} };
