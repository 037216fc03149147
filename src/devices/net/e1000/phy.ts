import type { DeviceState } from '../../device.ts';
import { bytesOf, DeviceStateError } from '../../state.ts';
import { MII } from '../mii-phy.ts';

/** Registers of the PHY, an 88E1011S (IEEE 802.3 clauses 22 and 40, and Marvell's own from 16 on). */
const PHY = {
  ...MII,
  control1000: 9,
  status1000: 10,
  extendedStatus: 15,
  specificControl: 16,
  specificStatus: 17,
  interruptEnable: 18,
  extendedControl: 20,
  pageSelect: 29,
  pageData: 30,
} as const;
const REGISTERS = 32;

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
  [PHY.id1]: 0x0141,
  [PHY.id2]: 0x0c20,
  [PHY.advertisement]: 0x0de1,
  [PHY.control1000]: 0x0e00,
  [PHY.extendedStatus]: 0x3000,
  [PHY.specificControl]: 0x0078,
  [PHY.extendedControl]: 0x0c60,
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
  [PHY.pageSelect]: 0xffff,
  [PHY.pageData]: 0xffff,
};

/** The PHY of a gigabit card, whose partner supports the same modes: negotiation completes immediately. */
export class GigabitPhy {
  readonly #registers = new Uint16Array(REGISTERS);
  readonly #isPluggedIn: () => boolean;

  /** @param isPluggedIn whether there is a link partner */
  constructor(isPluggedIn: () => boolean) {
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
    const value = this.#registers[register]!;
    if (!this.link) return value;
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
    const mask = WRITABLE[register] ?? 0;
    const kept = this.#registers[register]! & ~mask;
    const restart = register === PHY.control ? CONTROL.restart : 0;
    this.#registers[register] = kept | (value & mask & ~restart);
  }

  reset(): void {
    this.#registers.fill(0);
    for (const [register, value] of Object.entries(INITIAL)) this.#registers[Number(register)] = value;
  }

  save(): DeviceState {
    return { registers: new Uint8Array(this.#registers.slice().buffer) };
  }

  /** @throws DeviceStateError */
  load(state: DeviceState): void {
    const registers = bytesOf(state, 'registers');
    if (registers.length !== this.#registers.byteLength)
      throw new DeviceStateError('registers', `${REGISTERS} registers of the PHY`);
    new Uint8Array(this.#registers.buffer).set(registers);
  }

  #has(bit: number): boolean {
    return (this.#registers[PHY.control]! & bit) !== 0;
  }
}
