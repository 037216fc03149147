import type { PowerManagement } from '../../pci/power-management.ts';
import { ADDRESS_BYTES } from '../ethernet.ts';
import { MagicSequence } from '../magic-packet.ts';
import { REG } from './registers.ts';

/** WUC. Two of its bits mirror the power management capability. */
const WUC = { APME: 1 << 0, PME_EN: 1 << 1, PME_STATUS: 1 << 2, APMPME: 1 << 3 } as const;
/** WUFC and WUS. */
export const WAKE = {
  LNKC: 1 << 0,
  MAG: 1 << 1,
  EX: 1 << 2,
  MC: 1 << 3,
  BC: 1 << 4,
  ARP: 1 << 5,
  IPV4: 1 << 6,
} as const;
const FRAME_BITS = 0x7e;
/** The bytes of the frame that WUPM stores. */
const STORED_BYTES = 128;
const IPV4_ADDRESSES = 4;
const ETHER_TYPE = { ipv4: 0x0800, arp: 0x0806, vlan: 0x8100 } as const;
const ARP_REQUEST = 1;

/** The registers on auxiliary power, which are reset only by its loss: [first, last]. */
const KEPT: readonly (readonly [first: number, last: number])[] = [
  [REG.WUC, REG.WUC],
  [REG.WUFC, REG.WUFC],
  [REG.WUS, REG.WUS],
  [REG.IPAV, REG.IPAV],
  [REG.IP4AT, REG.IP4AT + 2 * IPV4_ADDRESSES - 1],
  [REG.WUPL, REG.WUPL],
  [REG.WUPM, REG.WUPM + STORED_BYTES / 4 - 1],
];

export type WakeUpParts = {
  readonly words: Uint32Array;
  readonly power: PowerManagement;
  /** The kind of the card's address that a frame is for. */
  readonly addressed: (frame: Uint8Array) => 'own' | 'multicast' | 'broadcast' | null;
  /** From the EEPROM: advanced power management wakes the machine after power-on. */
  readonly startsWithApm: () => boolean;
};

/**
 * Waking the machine from the network (§6.4, §13.6): the ACPI filters while the card is in D3, and magic packets for
 * APM.
 */
export class WakeUp {
  readonly #parts: WakeUpParts;
  readonly #magic = new MagicSequence();
  /** The card's first address, as stored in its registers. */
  readonly #address: Uint8Array;

  constructor(parts: WakeUpParts) {
    const { words } = parts;
    this.#parts = parts;
    this.#address = new Uint8Array(words.buffer, words.byteOffset + 4 * REG.RAL, ADDRESS_BYTES);
  }

  powerOn(): void {
    const { words, power, startsWithApm } = this.#parts;
    for (const [first, last] of KEPT) words.fill(0, first, last + 1);
    words[REG.WUC] = startsWithApm() ? WUC.APME : 0;
    power.powerOn();
  }

  /** Zeroes all words except those on auxiliary power. */
  resetOthers(): void {
    const { words } = this.#parts;
    const kept = KEPT.map(([first, last]) => ({ first, values: words.slice(first, last + 1) }));
    words.fill(0);
    for (const { first, values } of kept) words.set(values, first);
  }

  readControl(): number {
    const { words, power } = this.#parts;
    const own = words[REG.WUC]! & (WUC.APME | WUC.APMPME);
    return own | (power.isEnabled ? WUC.PME_EN : 0) | (power.hasEvent ? WUC.PME_STATUS : 0);
  }

  writeControl(value: number): void {
    const { words, power } = this.#parts;
    words[REG.WUC] = value & (WUC.APME | WUC.APMPME);
    if (value & WUC.PME_STATUS) power.hasEvent = false;
    power.isEnabled = (value & WUC.PME_EN) !== 0;
  }

  /** A frame has arrived. */
  arrived(frame: Uint8Array): void {
    const { words, power } = this.#parts;
    if ((words[REG.WUC]! & WUC.APME) !== 0 && this.#isMagic(frame)) {
      words[REG.WUS]! |= WAKE.MAG;
      if ((words[REG.WUC]! & WUC.APMPME) !== 0) power.hasEvent = true;
    }
    const enabled = words[REG.WUFC]! & FRAME_BITS;
    // An earlier packet stays until the driver has seen it.
    if (power.isOn || enabled === 0 || power.hasEvent) return;
    const matches = this.#matches(frame) & enabled;
    if (matches === 0) return;
    words[REG.WUS]! |= matches;
    this.#store(frame);
    power.hasEvent = true;
  }

  linkChanged(): void {
    const { words, power } = this.#parts;
    if (power.isOn || (words[REG.WUFC]! & WAKE.LNKC) === 0) return;
    words[REG.WUS]! |= WAKE.LNKC;
    power.hasEvent = true;
  }

  #matches(frame: Uint8Array): number {
    const addressed = this.#parts.addressed(frame);
    const isDirected = addressed === 'own' ? WAKE.EX : 0;
    const isMulticast = addressed === 'multicast' ? WAKE.MC : 0;
    const isForAll = addressed === 'broadcast' ? WAKE.BC : 0;
    const forProtocol = addressed === 'own' || addressed === 'broadcast' ? this.#protocol(frame) : 0;
    return (this.#isMagic(frame) ? WAKE.MAG : 0) | isDirected | isMulticast | isForAll | forProtocol;
  }

  /** Six bytes of ones, and 16 times the card's first address, in a frame that passes its filters (§6.4.3.1.2). */
  #isMagic(frame: Uint8Array): boolean {
    return this.#magic.isIn(frame, this.#address) && this.#parts.addressed(frame) !== null;
  }

  /** ARP requests for an address in IP4AT, and IPv4 packets to one. */
  #protocol(frame: Uint8Array): number {
    const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
    let at = 12;
    if (frame.length >= at + 6 && view.getUint16(at) === ETHER_TYPE.vlan) at += 4;
    if (frame.length < at + 2 + 28) return 0;
    const type = view.getUint16(at);
    const payload = at + 2;
    if (type === ETHER_TYPE.arp && view.getUint16(payload + 6) === ARP_REQUEST)
      return this.#isOurs(view.getUint32(payload + 24, true)) ? WAKE.ARP : 0;
    if (type === ETHER_TYPE.ipv4) return this.#isOurs(view.getUint32(payload + 16, true)) ? WAKE.IPV4 : 0;
    return 0;
  }

  #isOurs(address: number): boolean {
    const { words } = this.#parts;
    for (let index = 0; index < IPV4_ADDRESSES; index++) {
      const isValid = ((words[REG.IPAV]! >>> index) & 1) !== 0;
      if (isValid && words[REG.IP4AT + 2 * index] === address) return true;
    }
    return false;
  }

  #store(frame: Uint8Array): void {
    const { words } = this.#parts;
    const bytes = new Uint8Array(STORED_BYTES);
    bytes.set(frame.subarray(0, STORED_BYTES));
    words[REG.WUPL] = frame.length;
    words.set(new Uint32Array(bytes.buffer), REG.WUPM);
  }
}
