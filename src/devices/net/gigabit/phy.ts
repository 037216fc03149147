import type { DeviceState } from '../../device.ts';
import { bytesOf, DeviceStateError } from '../../state.ts';
import { MII } from '../mii-phy.ts';

/** Registers of Marvell's gigabit PHYs (IEEE 802.3 clauses 22 and 40, and Marvell's own from 16 on). */
export const PHY = {
  ...MII,
  nextPage: 7,
  control1000: 9,
  status1000: 10,
  extendedStatus: 15,
  specificControl: 16,
  specificStatus: 17,
  interruptEnable: 18,
  extendedControl: 20,
} as const;
const REGISTERS = 32;
/** Registers below exist once, on whatever page. */
const FIRST_PAGED = 16;

/** What distinguishes the PHYs of controllers. */
export type PhyModel = {
  /** Registers 2 and 3. */
  readonly id: number;
  /** Values of further registers after a reset. */
  readonly initial: Readonly<Record<number, number>>;
  /** Further registers that keep what is written to them. */
  readonly stored: readonly number[];
  /** Pages of registers from 16 on, and the register that selects one of them, if there are several. */
  readonly pages?: { readonly count: number; readonly select: number };
};

const CONTROL = {
  reset: 0x8000,
  loopback: 0x4000,
  powerDown: 0x0800,
  restart: 0x0200,
} as const;

/** Register values after a reset; others are 0. */
const INITIAL: Readonly<Record<number, number>> = {
  // Autonegotiation, full duplex, 1000 Mbit/s.
  [PHY.control]: 0x1140,
  // All modes of 10 and 100 Mbit/s, extended status and registers, preamble suppression.
  [PHY.status]: 0x7949,
  [PHY.advertisement]: 0x0de1,
  [PHY.control1000]: 0x0e00,
  [PHY.extendedStatus]: 0x3000,
};

const STATUS_LINK = 0x0004;
const STATUS_NEGOTIATED = 0x0020;
/** The partner acknowledges, supports pause, and has 10 and 100 Mbit/s. */
const LINK_PARTNER = 0x4de1;
/** The partner negotiates, and a page of it was received. */
const EXPANSION = 0x0003;
/** Both receivers work; the partner has 1000 Mbit/s in both duplexes. */
const STATUS_1000 = 0x3c00;
/** 1000 Mbit/s, full duplex, resolved, and a link in real time. */
const SPECIFIC_LINK = 0xac00;

/** The bits that a driver can write. */
const WRITABLE: Readonly<Record<number, number>> = {
  [PHY.control]: 0x7dc0,
  [PHY.advertisement]: 0xbfff,
  [PHY.control1000]: 0xff00,
  [PHY.specificControl]: 0xffff,
  [PHY.interruptEnable]: 0xffff,
  [PHY.extendedControl]: 0xffff,
};

/** The PHY of a gigabit card, whose partner supports the same modes: negotiation completes immediately. */
export class GigabitPhy {
  readonly #model: PhyModel;
  /** All pages; what exists once is on the first. */
  readonly #registers: Uint16Array;
  readonly #isPluggedIn: () => boolean;

  /** @param isPluggedIn whether there is a link partner */
  constructor(model: PhyModel, isPluggedIn: () => boolean) {
    this.#model = model;
    this.#registers = new Uint16Array(REGISTERS * (model.pages?.count ?? 1));
    this.#isPluggedIn = isPluggedIn;
    this.reset();
  }

  get link(): boolean {
    return this.#isPluggedIn() && this.isOn;
  }

  get isOn(): boolean {
    return !this.#has(CONTROL.powerDown);
  }

  /** Whether transmitted frames are looped back. */
  get loopback(): boolean {
    return this.#has(CONTROL.loopback);
  }

  /** @param register 0 to 31 */
  read(register: number): number {
    const page = this.#pageOf(register);
    const value = this.#registers[REGISTERS * page + register] ?? 0;
    if (!this.link || page !== 0) return value;
    switch (register) {
      case PHY.status:
        return value | STATUS_LINK | STATUS_NEGOTIATED;
      case PHY.linkPartner:
        return LINK_PARTNER;
      case PHY.expansion:
        return EXPANSION;
      case PHY.status1000:
        return STATUS_1000;
      case PHY.specificStatus:
        return SPECIFIC_LINK;
      default:
        return value;
    }
  }

  write(register: number, value: number): void {
    if (register === PHY.control && (value & CONTROL.reset) !== 0) {
      this.reset();
      return;
    }
    const page = this.#pageOf(register);
    if (page !== 0) {
      // No more than that of the first page has an effect.
      if (page < this.#model.pages!.count) this.#registers[REGISTERS * page + register] = value;
      return;
    }
    const mask = this.#model.stored.includes(register) ? 0xffff : (WRITABLE[register] ?? 0);
    const kept = this.#registers[register]! & ~mask;
    const restart = register === PHY.control ? CONTROL.restart : 0;
    this.#registers[register] = kept | (value & mask & ~restart);
  }

  reset(): void {
    const { id, initial } = this.#model;
    this.#registers.fill(0);
    this.#registers[PHY.id1] = id >>> 16;
    this.#registers[PHY.id2] = id;
    for (const [register, value] of Object.entries({ ...INITIAL, ...initial }))
      this.#registers[Number(register)] = value;
  }

  save(): DeviceState {
    return { registers: new Uint8Array(this.#registers.slice().buffer) };
  }

  /** @throws DeviceStateError */
  load(state: DeviceState): void {
    const registers = bytesOf(state, 'registers');
    if (registers.length !== this.#registers.byteLength)
      throw new DeviceStateError('registers', `${this.#registers.length} registers of the PHY`);
    new Uint8Array(this.#registers.buffer).set(registers);
  }

  /** The page that an access reaches. */
  #pageOf(register: number): number {
    const { pages } = this.#model;
    if (pages === undefined || register < FIRST_PAGED || register === pages.select) return 0;
    return this.#registers[pages.select]!;
  }

  #has(bit: number): boolean {
    return (this.#registers[PHY.control]! & bit) !== 0;
  }
}
