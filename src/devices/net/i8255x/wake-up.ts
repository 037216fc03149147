import type { PowerManagement } from '../../pci/power-management.ts';
import { isBroadcast, isMulticast } from '../ethernet.ts';
import { MagicSequence } from '../magic-packet.ts';
import { CONFIG, FIXED_WAKE, PMDR, WAKE } from './registers.ts';

export type WakeUpParts = {
  readonly power: PowerManagement;
  /** Of the command unit: the configuration, and the card's address. */
  readonly station: { readonly config: Uint8Array; readonly address: Uint8Array };
  /** Whether the receive unit's filters let a frame pass. */
  readonly passes: (frame: Uint8Array) => boolean;
  /** The card knows magic packets, as all but the 82559ER. */
  readonly knowsMagic: boolean;
};

/**
 * What of the network wakes up the machine, as the configuration says (§A.4): in all states but D0 a magic packet, a frame to the card's address
 * or to a group, and a change of the link always. ARP requests, and frames by filters that are loaded, are not among it.
 */
export class WakeUp {
  readonly #parts: WakeUpParts;
  readonly #magic = new MagicSequence();
  /** Causes, in the bits of PMDR, which has auxiliary power. */
  #causes = 0;

  constructor(parts: WakeUpParts) {
    this.#parts = parts;
  }

  /** The power management driver register. */
  get register(): number {
    return this.#causes | (this.#parts.power.hasEvent ? PMDR.event : 0);
  }

  /** Clears what has ones. */
  clear(bits: number): void {
    this.#causes &= ~bits;
    if ((bits & PMDR.event) !== 0) this.#parts.power.hasEvent = false;
  }

  /** The register is as it was, in a state that the power management's is part of. */
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
