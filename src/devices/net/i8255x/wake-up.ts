import type { PowerManagement } from '../../pci/power-management.ts';
import { isBroadcast, isMulticast } from '../ethernet.ts';
import { MagicSequence } from '../magic-packet.ts';
import { CONFIG, FIXED_WAKE, PMDR, WAKE } from './registers.ts';

export type WakeUpParts = {
  readonly power: PowerManagement;
  /** Of the command unit: the configuration, and the card's address. */
  readonly station: { readonly config: Uint8Array; readonly address: Uint8Array };
  /** Whether a frame passes the receive unit's filters. */
  readonly passes: (frame: Uint8Array) => boolean;
  /** Whether the card supports magic packets, as all but the 82559ER do. */
  readonly knowsMagic: boolean;
};

/**
 * Waking the machine from the network, as configured (§A.4): by a magic packet, by a unicast or multicast frame that
 * the card receives, except in D0, and by a change of the link in any state. ARP requests and loaded filters are not
 * supported.
 */
export class WakeUp {
  readonly #parts: WakeUpParts;
  readonly #magic = new MagicSequence();
  /** The wake events, as bits of PMDR, which is on auxiliary power. */
  #causes = 0;

  constructor(parts: WakeUpParts) {
    this.#parts = parts;
  }

  /** The power management driver register. */
  get register(): number {
    return this.#causes | (this.#parts.power.hasEvent ? PMDR.event : 0);
  }

  /** Clears the bits that are ones. */
  clear(bits: number): void {
    this.#causes &= ~bits;
    if ((bits & PMDR.event) !== 0) this.#parts.power.hasEvent = false;
  }

  /** Restores the register from a state, of which the power management is a part. */
  load(register: number): void {
    this.#causes = register & PMDR.causes;
  }

  powerOn(): void {
    this.#causes = 0;
    this.#parts.power.powerOn();
  }

  arrived(frame: Uint8Array): void {
    const { power, passes } = this.#parts;
    if (power.isOn || power.hasEvent || !passes(frame)) return;
    const cause = this.#causeOf(frame);
    if (cause !== 0) this.#happened(cause);
  }

  linkChanged(): void {
    const { config } = this.#parts.station;
    if ((config[CONFIG.fixedWake]! & FIXED_WAKE.link) !== 0) this.#happened(PMDR.link);
  }

  #causeOf(frame: Uint8Array): number {
    const { station, knowsMagic } = this.#parts;
    const { config, address } = station;
    const modes = config[CONFIG.wake]!;
    if (knowsMagic && (modes & WAKE.noMagic) === 0 && this.#magic.isIn(frame, address)) return PMDR.magic;
    const isGroup = isMulticast(frame) && !isBroadcast(frame);
    const wakes = isGroup
      ? (config[CONFIG.fixedWake]! & FIXED_WAKE.group) !== 0
      : !isMulticast(frame) && (modes & WAKE.address) !== 0;
    return wakes ? PMDR.frame : 0;
  }

  #happened(cause: number): void {
    this.#causes |= cause;
    this.#parts.power.hasEvent = true;
  }
}
