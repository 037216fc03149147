import type { AccessSize, DeviceState, IoHandler } from '../device.ts';
import { PciFunction } from '../pci/pci-function.ts';

/** Intel I/O Controller Hub 9 (ICH9) Family datasheet §13.1: the LPC interface of the 82801IB. */
const IDENTITY = {
  vendor: 0x8086,
  device: 0x2918,
  revision: 2,
  classCode: 0x060100,
  subsystemVendor: 0x1af4,
  subsystem: 0x1100,
} as const;

/** Its place on a PC with this chipset. */
export const LPC_PLACE = { slot: 31, function: 0 } as const;

const REG = {
  pmBase: 0x40,
  acpiControl: 0x44,
  pirqA: 0x60,
  serialIrq: 0x64,
  pirqE: 0x68,
  ioDecode: 0x80,
  ioEnables: 0x82,
  powerManagement1: 0xa0,
  biosControl: 0xdc,
  rcba: 0xf0,
} as const;

const PM_BASE_ADDRESS = 0xff80;
const ACPI_ENABLE = 0x80;
const ACPI_SCI = 0x07;
const PIRQ_OFF = 0x80;
const PIRQ_IRQ = 0x0f;
const RCBA_ENABLE = 0x1;
const RCBA_ADDRESS = 0xffff_c000;
/** The root complex registers: 16 KiB (§10). */
export const RCBA_SIZE = 0x4000;

/** ISA interrupts that a PIRQ may be routed to (§13.1.17): the others are reserved. */
const ROUTABLE = new Set([3, 4, 5, 6, 7, 9, 10, 11, 12, 14, 15]);

export type LpcEvents = {
  /** The first of the 128 ports for power management; null if they are off. */
  readonly onPmBase: (port: number | null) => void;
  /** The address of the root complex registers; null if they are off. */
  readonly onRcba: (address: number | null) => void;
  /** The ISA interrupts that PIRQA# to PIRQD# are routed to; null for none. */
  readonly onRoutes: (routes: readonly (number | null)[]) => void;
};

/** The LPC bridge: interrupt routing for the 8259s, and the base of the power management ports. */
export class LpcBridge extends PciFunction {
  readonly #events: LpcEvents;

  constructor(events: LpcEvents) {
    super('lpc', IDENTITY);
    this.#events = events;
    const { config } = this;
    config.define(REG.pmBase, 4, 1, { writable: PM_BASE_ADDRESS });
    config.define(REG.acpiControl, 1, 0, { writable: ACPI_ENABLE | ACPI_SCI });
    for (const first of [REG.pirqA, REG.pirqE])
      for (let i = 0; i < 4; i++) config.define(first + i, 1, PIRQ_OFF, { writable: PIRQ_OFF | PIRQ_IRQ });
    config.define(REG.serialIrq, 1, 0x10, { writable: 0xff });
    config.define(REG.ioDecode, 2, 0, { writable: 0x1377 });
    config.define(REG.ioEnables, 2, 0, { writable: 0x3f0f });
    config.define(REG.powerManagement1, 2, 0, { writable: 0x1fff });
    config.define(REG.biosControl, 1, 0, { writable: 0x3 });
    config.define(REG.rcba, 4, 0, { writable: RCBA_ADDRESS + RCBA_ENABLE });
    const onWrite = (start: number, size: number, afterWrite: () => void) =>
      this.addHook({ start, end: start + size, afterWrite });
    onWrite(REG.pmBase, 5, () => events.onPmBase(this.pmBase));
    onWrite(REG.pirqA, 4, () => events.onRoutes(this.routes));
    onWrite(REG.rcba, 4, () => events.onRcba(this.rcba));
  }

  get pmBase(): number | null {
    const base = this.config.u32(REG.pmBase) & PM_BASE_ADDRESS;
    return base === 0 || (this.config.u8(REG.acpiControl) & ACPI_ENABLE) === 0 ? null : base;
  }

  get rcba(): number | null {
    const base = this.config.u32(REG.rcba);
    return (base & RCBA_ENABLE) === 0 ? null : (base & RCBA_ADDRESS) >>> 0;
  }

  get routes(): (number | null)[] {
    return Array.from({ length: 4 }, (_, i) => {
      const route = this.config.u8(REG.pirqA + i);
      const irq = route & PIRQ_IRQ;
      return (route & PIRQ_OFF) === 0 && ROUTABLE.has(irq) ? irq : null;
    });
  }

  override reset(): void {
    super.reset();
    this.#changed();
  }

  override load(state: DeviceState): void {
    super.load(state);
    this.#changed();
  }

  #changed(): void {
    this.#events.onPmBase(this.pmBase);
    this.#events.onRcba(this.rcba);
    this.#events.onRoutes(this.routes);
  }
}

/** General control and status (§10.1.75). */
const GCS = 0x3410;
/** A watchdog timer's second timeout does not reset the machine. Read-only, since there is no such timer. */
const NO_REBOOT = 0x20;

/** The root complex registers, from which guests read whether there is a watchdog timer. */
export const rootComplexRegisters: IoHandler = fixedRegisters(new Map([[GCS, NO_REBOOT]]));

/** Among the power management ports (§13.8.3.5): SMI control and enable, SMI status. */
export const SMI_PORTS = { offset: 0x30, size: 8 } as const;
/**
 * Writes to the APM port cause an SMI, once firmware has set that up. The bit tells firmware that it has been done, so
 * it leaves SMM alone: there is no SMM.
 */
const APMC_ENABLED = 0x20;

export const smiRegisters: IoHandler = fixedRegisters(new Map([[0, APMC_ENABLED]]));

/** Read-only double words; the others are zero. */
function fixedRegisters(values: ReadonlyMap<number, number>): IoHandler {
  return {
    read: (offset: number, size: AccessSize) => {
      let value = 0;
      for (let i = 0; i < size; i++) {
        const at = offset + i;
        const byte = ((values.get(at & ~3) ?? 0) >>> (8 * (at & 3))) & 0xff;
        value |= byte << (8 * i);
      }
      return value >>> 0;
    },
    write: () => {},
  };
}
