import type { BusRange, PortBus } from '../../devices/bus.ts';
import { HostBridge, type PamMode } from '../../devices/chipset/host-bridge.ts';
import {
  LpcBridge,
  RCBA_SIZE,
  rootComplexRegisters,
  SMI_PORTS,
  smiRegisters,
} from '../../devices/chipset/lpc-bridge.ts';
import { PirqRouter } from '../../devices/chipset/pirq-router.ts';
import { ApmPorts, Port92 } from '../../devices/chipset/reset-ports.ts';
import type { Device, DeviceState } from '../../devices/device.ts';
import { FwCfg } from '../../devices/firmware/fw-cfg.ts';
import { FwCfgItems } from '../../devices/firmware/fw-cfg-items.ts';
import type { MachineServices } from '../../devices/machine-services.ts';
import type { EcamPlace } from '../../devices/pci/pci-host.ts';
import { stateOf } from '../../devices/state.ts';
import type { AcpiRange, DsdtOptions } from '../acpi/dsdt.ts';
import type { AddressSpace } from '../memory/address-space.ts';
import * as layout from '../memory/layout.ts';
import { PRIORITY } from '../memory/memory-range.ts';
import type { Shadow } from '../memory/shadow.ts';

export type Q35Options = {
  readonly ports: PortBus;
  readonly space: AddressSpace;
  readonly shadow: Shadow;
  /** Flash memory with its firmware's variables; null if it has none. */
  readonly flash: Device | null;
  readonly services: Pick<MachineServices, 'interruptLine' | 'request' | 'memory'>;
  readonly onEcam: (place: EcamPlace | null) => void;
};

/** Slots of bus 0 from here on are wired by their pins alone, as firmware assumes for this kind of machine. */
const FIRST_FIXED_SLOT = 25;

/**
 * What firmware expects of a PC with Intel's Q35 chipset, as in QEMU: the host bridge and the LPC bridge with their
 * registers, reset and power management ports, and fw_cfg. It has no SMM.
 */
export class Q35 {
  readonly hostBridge: HostBridge;
  readonly lpc: LpcBridge;
  readonly items = new FwCfgItems();
  readonly pirqs: PirqRouter;
  readonly #options: Q35Options;
  readonly #devices: readonly Device[];
  readonly #smi: BusRange;
  /** Ranges that move with the power management ports, each at an offset. */
  readonly #pmRanges: { readonly range: BusRange; readonly offset: number }[] = [];
  #rcba: BusRange | null = null;

  constructor(options: Q35Options) {
    this.#options = options;
    const { ports, services } = options;
    this.hostBridge = new HostBridge({ onPam: modes => this.#shadow(modes), onEcam: options.onEcam });
    this.lpc = new LpcBridge({
      onPmBase: port => this.#placePm(port),
      onRcba: address => this.#placeRcba(address),
      onRoutes: routes => this.pirqs.route(routes),
    });
    this.pirqs = new PirqRouter(layout.PCI_INTX_GSI, services.interruptLine);
    const { request, memory } = services;
    const [fwCfg, port92, apm] = [
      new FwCfg({ items: this.items, memory }),
      new Port92(request),
      new ApmPorts(),
    ];
    this.#devices = [this.lpc, fwCfg, port92, apm, ...(options.flash === null ? [] : [options.flash])];
    ports.claim(fwCfg.name, layout.PORT.fwCfg, FwCfg.size, fwCfg);
    ports.claim(port92.name, layout.PORT.port92, 1, port92.handler);
    ports.claim(apm.name, layout.PORT.apm, 2, apm.handler);
    this.#smi = ports.claim('smi', layout.PORT.pm1Event + SMI_PORTS.offset, SMI_PORTS.size, smiRegisters);
    this.movesWithPm(this.#smi, SMI_PORTS.offset);
  }

  /** The input to which a pin of a slot of bus 0 is wired. */
  static readonly interruptOf = (slot: number, pin: number): number =>
    (slot < FIRST_FIXED_SLOT ? slot + pin : pin) % layout.PCI_INTX_GSIS;

  /** Keeps a range of ports at an offset from the power management ports, wherever the guest puts them. */
  movesWithPm(range: BusRange, offset: number): void {
    this.#pmRanges.push({ range, offset });
    this.#placePm(this.lpc.pmBase);
  }

  /** Its part of the ACPI tables. @param ramEnd the end of RAM below 4 GiB */
  placed(ecam: EcamPlace | null, ramEnd: number): NonNullable<DsdtOptions['placed']> {
    const pmBase = this.lpc.pmBase ?? layout.PORT.pm1Event;
    const rcba = this.lpc.rcba;
    const taken = ecam && { start: ecam.start, size: ecam.buses * 2 ** 20 };
    return {
      ecam: ecam && { ...ecam, size: ecam.buses * 2 ** 20 },
      io: layout.FIRMWARE_PCI_IO,
      mmio32: [layout.VGA_WINDOW, ...without({ start: ramEnd, size: layout.IOAPIC - ramEnd }, taken)],
      reserved: rcba === null ? [] : [{ start: rcba, size: RCBA_SIZE }],
      ...{ pmBase, gpe0: pmBase + layout.GPE0_OFFSET },
      interruptOf: Q35.interruptOf,
    };
  }

  /** Resets it to the state after power-on. The host bridge is reset with the PCI host. */
  reset(): void {
    for (const device of this.#devices) device.reset();
  }

  /** Resets it to the state after S3. The bridges keep firmware's settings: not all firmware makes them again. */
  wake(): void {
    for (const device of this.#devices) if (device !== this.lpc) device.reset();
  }

  save(): DeviceState {
    return Object.fromEntries(this.#devices.map(device => [device.name, device.save()]));
  }

  /** @throws DeviceStateError */
  load(state: DeviceState): void {
    for (const device of this.#devices) device.load(stateOf(state, device.name));
  }

  #shadow(modes: readonly PamMode[]): void {
    const target = (ram: boolean) => (ram ? 'ram' : 'rom');
    this.#options.shadow.setAll(
      modes.map(({ read, write }) => ({ read: target(read), write: target(write) })),
    );
  }

  #placePm(port: number | null): void {
    for (const { range, offset } of this.#pmRanges) {
      if (port === null) range.unmap();
      else range.map(port + offset);
    }
  }

  #placeRcba(address: number | null): void {
    const { space } = this.#options;
    if (address === null) this.#rcba?.unmap();
    else if (this.#rcba !== null) this.#rcba.map(address);
    else
      this.#rcba = space.add({
        ...{ kind: 'mmio', name: 'root-complex', start: address, size: RCBA_SIZE },
        ...{ handler: rootComplexRegisters, priority: PRIORITY.pci },
      });
  }
}

/** A range minus a part of it. */
function without({ start, size }: AcpiRange, taken: AcpiRange | null): AcpiRange[] {
  if (taken === null) return [{ start, size }];
  const end = start + size;
  return [
    { start, size: Math.min(end, taken.start) - start },
    {
      start: Math.max(start, taken.start + taken.size),
      size: end - Math.max(start, taken.start + taken.size),
    },
  ].filter(({ size }) => size > 0);
}
