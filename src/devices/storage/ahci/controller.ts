import type { BootPath } from '../../boot-device.ts';
import type { AccessSize, Device, DeviceState, IoHandler } from '../../device.ts';
import type { BuiltDevice, BusAddress, DeviceBus, UnitHotplug } from '../../device-type.ts';
import type { MachineServices } from '../../machine-services.ts';
import { Msi } from '../../pci/msi.ts';
import { PciFunction } from '../../pci/pci-function.ts';
import { CAPABILITY } from '../../pci/registers.ts';
import { numberOf, stateOf, statesOf } from '../../state.ts';
import { AhciPort } from './port.ts';
import { AHCI_PORTS, CAP, GHC, HBA, PORT_SIZE, PORTS, SLOTS } from './registers.ts';

/** The controller of an ICH9 in AHCI mode (Intel ICH9 data sheet, order number 316972, §14). */
const IDENTITY = { vendor: 0x8086, device: 0x2922, revision: 0x02, classCode: 0x01_06_01 } as const;
const ABAR = { index: 5, size: 0x1000 } as const;
/** Index and data ports for the registers, for software that can access only ports (AHCI 1.3.1 §2.1.10, §10.14). */
const INDEX_DATA = { bar: 4, size: 32, index: 0x10, data: 0x14 } as const;
/** Revision 1.0, and the location of the pair: in BAR 4, at dword 4. */
const SATA_CAPABILITY = Uint8Array.of(0x10, 0x00, 0x48, 0x00, 0x00, 0x00);
const VERSION_1_3_1 = 0x0001_0301;

export type AhciOptions = { readonly name: string; readonly staggeredSpinUp: boolean };

/** An AHCI controller with six ports, which provides the bus of the drives. */
export class AhciController implements Device, DeviceBus {
  readonly name: string;
  readonly function: PciFunction;
  readonly ports: readonly AhciPort[];
  readonly #capabilities: number;
  readonly #msi: Msi;
  readonly #places = new Map<BuiltDevice, number>();
  #control = GHC.ahci as number;
  /** IS: ports with a pending interrupt. */
  #status = 0;
  /** Ports that are still being reset. */
  #resetting = 0;
  #index = 0;
  /** The interrupt level that was last signaled. */
  #asserted = false;

  constructor({ name, staggeredSpinUp }: AhciOptions, services: MachineServices) {
    this.name = name;
    this.function = new PciFunction(name, IDENTITY);
    this.function.addInterruptPin();
    this.#capabilities =
      ((AHCI_PORTS - 1) |
        ((SLOTS - 1) << CAP.slotsShift) |
        CAP.multipleDrq |
        CAP.ahciOnly |
        CAP.generation3 |
        CAP.commandListOverride |
        (staggeredSpinUp ? CAP.staggeredSpinUp : 0) |
        CAP.queuing |
        CAP.address64) >>>
      0;
    this.ports = Array.from(
      { length: AHCI_PORTS },
      (_, index) =>
        new AhciPort({
          memory: services.memory,
          isBusMaster: () => this.function.busMaster,
          staggersSpinUp: staggeredSpinUp,
          raised: bits => this.#raised(index, bits),
        }),
    );
    this.function.addBar(INDEX_DATA.bar, { kind: 'io', size: INDEX_DATA.size, handler: this.#indexData });
    this.function.addBar(ABAR.index, { kind: 'memory32', size: ABAR.size, handler: this.#registers });
    this.#msi = new Msi(this.function, services.allocateMsi(), () => this.#update());
    this.function.addCapability(CAPABILITY.sata, SATA_CAPABILITY);
    this.function.onBusReset(() => this.#busReset());
  }

  readonly bootPath: BootPath = {
    node: 'pci8086,2922',
    below: ({ unit }) => `/drive@${unit.toString(16)}/disk@0`,
  };

  attach(built: BuiltDevice, address: BusAddress | null): void {
    const { device, ata } = built;
    if (ata === undefined) return;
    const unit = address?.unit ?? this.ports.findIndex(({ drive }) => drive === null);
    const port = this.ports[unit];
    if (port === undefined)
      throw new Error(`${device.name}: all ${AHCI_PORTS} ports of ${this.name} are taken`);
    if (port.drive !== null) throw new Error(`${device.name}: port ${unit} of ${this.name} is taken`);
    port.attach(ata);
    this.#places.set(built, unit);
  }

  detach(built: BuiltDevice): void {
    const unit = this.#places.get(built);
    if (unit === undefined) return;
    this.#places.delete(built);
    this.ports[unit]!.unplug();
  }

  readonly units: UnitHotplug = {
    free: () => {
      const unit = this.ports.findIndex(({ drive }) => drive === null);
      return unit < 0 ? null : { unit, function: 0 };
    },
    announce: built => {
      const isAnnounced = this.ports[this.#places.get(built)!]!.announce();
      return isAnnounced && (this.#control & GHC.interrupts) !== 0;
    },
  };

  addressOf(built: BuiltDevice): BusAddress | null {
    const unit = this.#places.get(built);
    return unit === undefined ? null : { unit, function: 0 };
  }

  reset(): void {
    this.function.reset();
    this.#msi.reset();
    this.#powerOn();
    for (const port of this.ports) port.reset();
    this.#update();
  }

  resume(): void {
    for (const port of this.ports) port.resume();
  }

  save(): DeviceState {
    return {
      function: this.function.save(),
      msi: this.#msi.save(),
      control: this.#control,
      status: this.#status,
      index: this.#index,
      ports: this.ports.map(port => port.save()),
    };
  }

  load(state: DeviceState): void {
    const control = numberOf(state, 'control', 2 ** 32 - 1);
    const status = numberOf(state, 'status', 2 ** AHCI_PORTS - 1);
    const index = numberOf(state, 'index', ABAR.size - 4);
    const ports = statesOf(state, 'ports', AHCI_PORTS);
    this.function.load(stateOf(state, 'function'));
    this.#control = ((control & GHC.interrupts) | GHC.ahci) >>> 0;
    this.#status = status;
    this.#index = index & ~3;
    this.#resetting = 0;
    this.ports.forEach((port, number) => {
      port.load(ports[number]!);
    });
    this.#asserted = this.#level;
    this.#msi.load(stateOf(state, 'msi'));
    this.#update();
  }

  close(): void {
    this.function.close();
    this.#msi.release();
  }

  readonly #registers: IoHandler = {
    read: (offset, size) => {
      const dword = this.#read(offset & ~3);
      return (dword >>> (8 * (offset & 3))) & (2 ** (8 * size) - 1 || -1);
    },
    write: (offset, size, value) => this.#write(offset & ~3, this.#dword(offset, size, value)),
  };

  readonly #indexData: IoHandler = {
    read: (offset, size) => {
      const dword =
        offset < INDEX_DATA.data ? (offset < INDEX_DATA.index ? 0 : this.#index) : this.#atIndex(offset);
      return (dword >>> (8 * (offset & 3))) & (2 ** (8 * size) - 1 || -1);
    },
    write: (offset, size, value) => {
      if (offset === INDEX_DATA.index) this.#index = value & (ABAR.size - 4);
      else if (offset >= INDEX_DATA.data && offset < INDEX_DATA.data + 4) {
        this.#registers.write(this.#index + (offset & 3), size, value);
      }
    },
  };

  #atIndex(offset: number): number {
    return offset < INDEX_DATA.data + 4 ? this.#read(this.#index) : 0;
  }

  /** The dword that a narrow write means: the other bytes stay, or are not written in registers where ones act. */
  #dword(offset: number, size: AccessSize, value: number): number {
    if (size === 4) return value;
    const shift = 8 * (offset & 3);
    const mask = (2 ** (8 * size) - 1) << shift;
    const at = offset & ~3;
    const others = ACTING.has(at < PORTS ? at : (at - PORTS) % PORT_SIZE) ? 0 : this.#read(at) & ~mask;
    return (others | ((value << shift) & mask)) >>> 0;
  }

  #read(offset: number): number {
    if (offset >= PORTS) return this.#portAt(offset)?.read((offset - PORTS) % PORT_SIZE) ?? 0;
    switch (offset) {
      case HBA.cap:
        return this.#capabilities;
      case HBA.ghc:
        return (this.#control | (this.#resetting > 0 ? GHC.reset : 0)) >>> 0;
      case HBA.is:
        return this.#status;
      case HBA.pi:
        return 2 ** AHCI_PORTS - 1;
      case HBA.vs:
        return VERSION_1_3_1;
      default:
        return 0;
    }
  }

  #write(offset: number, value: number): void {
    if (offset >= PORTS) {
      if (this.#resetting === 0) this.#portAt(offset)?.write((offset - PORTS) % PORT_SIZE, value);
      return;
    }
    switch (offset) {
      case HBA.ghc:
        if (value & GHC.reset) {
          this.#hostReset();
          break;
        }
        this.#control = ((value & GHC.interrupts) | GHC.ahci) >>> 0;
        this.#update();
        break;
      case HBA.is:
        this.#status &= ~value;
        this.#update();
        break;
    }
  }

  #portAt(offset: number): AhciPort | undefined {
    return this.ports[Math.floor((offset - PORTS) / PORT_SIZE)];
  }

  #powerOn(): void {
    this.#control = GHC.ahci;
    this.#status = 0;
    this.#index = 0;
    this.#resetting = 0;
    this.#asserted = false;
  }

  /** GHC.HR (§10.4.3): reads as set until no drive has a command. */
  #hostReset(): void {
    if (this.#resetting > 0) return;
    this.#powerOn();
    this.#resetting = this.ports.length;
    for (const port of this.ports) port.stop(() => this.#resetting--);
    this.#update();
  }

  /** Its function has been reset by a bridge. */
  #busReset(): void {
    this.#resetting = 0;
    this.#hostReset();
    this.#msi.reset();
  }

  #raised(port: number, bits: number): void {
    // Called while the ports are being created, when there are no others yet.
    if (this.ports === undefined) return;
    const isNew = (bits & this.ports[port]!.enabledInterrupts) !== 0;
    this.#update(isNew);
  }

  get #level(): boolean {
    return this.#status !== 0 && (this.#control & GHC.interrupts) !== 0;
  }

  /** @param isNew whether another enabled interrupt has occurred, which needs its own message */
  #update(isNew = false): void {
    this.ports.forEach((port, number) => {
      if (port.isPending) this.#status |= 1 << number;
    });
    const level = this.#level;
    if (level && (isNew || !this.#asserted)) this.#msi.signal();
    this.#asserted = level;
    this.function.setInterrupt(level && !this.#msi.enabled);
  }
}

/** Registers in which ones act: a narrow write does not affect the other bytes. */
const ACTING: ReadonlySet<number> = new Set([HBA.is, 0x10, 0x30, 0x34, 0x38]);
