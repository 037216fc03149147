import type { DeviceState } from '../device.ts';
import { PciFunction } from '../pci/pci-function.ts';
import type { EcamPlace } from '../pci/pci-host.ts';

/** Intel 3 Series Express Chipset Family datasheet §5.1: 82G33 DRAM controller, as in QEMU's q35. */
const IDENTITY = {
  vendor: 0x8086,
  device: 0x29c0,
  revision: 0,
  classCode: 0x060000,
  // By these, firmware takes the machine for one of QEMU's, with its fw_cfg.
  subsystemVendor: 0x1af4,
  subsystem: 0x1100,
} as const;

/** §5.1.15, §5.1.21 to §5.1.27, §5.1.31. */
const REG = { pciexbar: 0x60, pam0: 0x90, smram: 0x9d, esmramc: 0x9e } as const;
const PAM_REGISTERS = 7;

const PCIEXBAR_ENABLE = 0x1;
const PCIEXBAR_LENGTH = 0x6;
/** Sizes by the length field, in MiB and buses; the fourth value is reserved. */
const PCIEXBAR_BUSES = [256, 128, 64] as const;
/** Bits 35-28 of the address, 27 and 26 for the shorter lengths. */
const PCIEXBAR_ADDRESS = 0xfc00_0000;
const PCIEXBAR_UPPER = 0xf;

/** There is no SMRAM: it is closed (D_LCK), at its only valid base (C_BASE_SEG). */
const SMRAM_LOCKED = 0x12;
/** No TSEG; the three cache bits are hard-wired. */
const ESMRAMC_NONE = 0x38;

/** Whether the reads and writes of an area between 768 KiB and 1 MiB reach RAM. */
export type PamMode = { readonly read: boolean; readonly write: boolean };

export type HostBridgeEvents = {
  /** The modes of the areas, ascending: twelve of 16 KiB from 0xc0000, and one of 64 KiB at 0xf0000. */
  readonly onPam: (modes: readonly PamMode[]) => void;
  /** Null if the ECAM is off. */
  readonly onEcam: (place: EcamPlace | null) => void;
};

/**
 * The host bridge of a machine with firmware: the registers with which firmware shadows itself in RAM, and places the
 * ECAM.
 */
export class HostBridge extends PciFunction {
  readonly #events: HostBridgeEvents;

  constructor(events: HostBridgeEvents) {
    super('host-bridge', IDENTITY);
    this.#events = events;
    const { config } = this;
    config.define(REG.pciexbar, 4, 0, { writable: PCIEXBAR_ADDRESS + PCIEXBAR_LENGTH + PCIEXBAR_ENABLE });
    config.define(REG.pciexbar + 4, 4, 0, { writable: PCIEXBAR_UPPER });
    config.define(REG.pam0, 1, 0, { writable: 0x30 });
    for (let i = 1; i < PAM_REGISTERS; i++) config.define(REG.pam0 + i, 1, 0, { writable: 0x33 });
    config.define(REG.smram, 1, SMRAM_LOCKED);
    config.define(REG.esmramc, 1, ESMRAMC_NONE);
    this.addHook({
      start: REG.pam0,
      end: REG.pam0 + PAM_REGISTERS,
      afterWrite: () => events.onPam(this.pamModes),
    });
    this.addHook({
      start: REG.pciexbar,
      end: REG.pciexbar + 8,
      afterWrite: () => events.onEcam(this.ecam),
    });
  }

  get pamModes(): PamMode[] {
    const mode = (bits: number) => ({ read: (bits & 1) !== 0, write: (bits & 2) !== 0 });
    const registers = Array.from({ length: PAM_REGISTERS }, (_, i) => this.config.u8(REG.pam0 + i));
    const [first, ...others] = registers;
    // The low half of each register is for the lower area; the first one has a high half only.
    return [...others.flatMap(bits => [mode(bits), mode(bits >>> 4)]), mode(first! >>> 4)];
  }

  get ecam(): EcamPlace | null {
    const low = this.config.u32(REG.pciexbar);
    const buses = PCIEXBAR_BUSES[(low & PCIEXBAR_LENGTH) >>> 1];
    if ((low & PCIEXBAR_ENABLE) === 0 || buses === undefined) return null;
    const size = buses * 2 ** 20;
    const address = this.config.u32(REG.pciexbar + 4) * 2 ** 32 + ((low & PCIEXBAR_ADDRESS) >>> 0);
    return { start: address - (address % size), buses };
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
    this.#events.onPam(this.pamModes);
    this.#events.onEcam(this.ecam);
  }
}
