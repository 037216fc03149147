import type { DeviceState } from '../device.ts';
import { numberOf } from '../state.ts';

/** Management registers of an Ethernet PHY (IEEE 802.3 clause 22.2.4). */
export const MII = {
  control: 0,
  status: 1,
  id1: 2,
  id2: 3,
  advertisement: 4,
  linkPartner: 5,
  expansion: 6,
} as const;

export const MII_CONTROL = {
  reset: 0x8000,
  loopback: 0x4000,
  speed100: 0x2000,
  autonegotiate: 0x1000,
  restart: 0x0200,
  fullDuplex: 0x0100,
} as const;
const CONTROL_WRITABLE = 0x7d80;

/** 100BASE-TX and 10BASE-T in both duplexes, with autonegotiation and extended registers. */
const STATUS_ABILITIES = 0x7809;
const STATUS_NEGOTIATED = 0x0020;
const STATUS_LINK = 0x0004;

/** The selector of IEEE 802.3, with all of the above; a partner also acknowledges, and supports pause. */
const ADVERTISEMENT = 0x01e1;
const ADVERTISEMENT_WRITABLE = 0x2fff;
const LINK_PARTNER = 0x45e1;
/** The partner negotiates; and a page of it has been received, which a read clears. */
const EXPANSION_PARTNER = 0x0001;

/** A 10/100 PHY whose link partner supports the same modes: negotiation completes immediately. */
export class MiiPhy {
  /** Registers 2 and 3. */
  readonly #id: number;
  #link = true;
  #control = MII_CONTROL.speed100 | MII_CONTROL.autonegotiate | MII_CONTROL.fullDuplex;
  #advertisement = ADVERTISEMENT;

  /** @param id the organization, the model and the revision, as in registers 2 (high half) and 3 */
  constructor(id: number) {
    this.#id = id;
  }

  get link(): boolean {
    return this.#link;
  }

  set link(up: boolean) {
    this.#link = up;
  }

  /** Whether it runs at 100 Mbit/s: as negotiated, or as forced by the driver. */
  get is100(): boolean {
    return this.#negotiates
      ? (this.#advertisement & LINK_PARTNER & 0x0180) !== 0
      : (this.#control & MII_CONTROL.speed100) !== 0;
  }

  get isFullDuplex(): boolean {
    if (!this.#negotiates) return (this.#control & MII_CONTROL.fullDuplex) !== 0;
    const common = this.#advertisement & LINK_PARTNER;
    return (common & 0x0100) !== 0 || ((common & 0x0080) === 0 && (common & 0x0040) !== 0);
  }

  read(register: number): number {
    switch (register) {
      case MII.control:
        return this.#control;
      case MII.status:
        return (
          STATUS_ABILITIES |
          (this.#link ? STATUS_LINK : 0) |
          (this.#link && this.#negotiates ? STATUS_NEGOTIATED : 0)
        );
      case MII.id1:
        return this.#id >>> 16;
      case MII.id2:
        return this.#id & 0xffff;
      case MII.advertisement:
        return this.#advertisement;
      case MII.linkPartner:
        return this.#link && this.#negotiates ? LINK_PARTNER : 0;
      case MII.expansion:
        return this.#link && this.#negotiates ? EXPANSION_PARTNER : 0;
      default:
        return 0;
    }
  }

  /** @param value 16 bits */
  write(register: number, value: number): void {
    if (register === MII.control) {
      if ((value & MII_CONTROL.reset) !== 0) this.reset();
      else this.#control = value & CONTROL_WRITABLE & ~MII_CONTROL.restart;
    } else if (register === MII.advertisement) this.#advertisement = value & ADVERTISEMENT_WRITABLE;
  }

  reset(): void {
    this.#control = MII_CONTROL.speed100 | MII_CONTROL.autonegotiate | MII_CONTROL.fullDuplex;
    this.#advertisement = ADVERTISEMENT;
  }

  save(): DeviceState {
    return { control: this.#control, advertisement: this.#advertisement };
  }

  /** @throws DeviceStateError */
  load(state: DeviceState): void {
    const control = numberOf(state, 'control', 0xffff);
    const advertisement = numberOf(state, 'advertisement', 0xffff);
    this.#control = control & CONTROL_WRITABLE & ~MII_CONTROL.restart;
    this.#advertisement = advertisement & ADVERTISEMENT_WRITABLE;
  }

  get #negotiates(): boolean {
    return (this.#control & MII_CONTROL.autonegotiate) !== 0;
  }
}
