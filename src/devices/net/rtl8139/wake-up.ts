import type { PowerManagement } from '../../pci/power-management.ts';
import { ADDRESS_BYTES } from '../ethernet.ts';
import { MagicSequence } from '../magic-packet.ts';
import type { Addressee } from './receive.ts';
import type { RegisterFile } from './register-file.ts';
import { CONFIG1, CONFIG3, CONFIG5, REG } from './registers.ts';

export type WakeUpParts = {
  readonly registers: RegisterFile;
  readonly power: PowerManagement;
  /** The kind of address that a frame is for, if it passes the receiver's filter. */
  readonly addressee: (frame: Uint8Array) => Addressee | null;
};

/** The frames without a pattern that wake the machine. */
const ENABLED_BY = { physical: CONFIG5.unicast, multicast: CONFIG5.multicast, broadcast: CONFIG5.broadcast };

/**
 * Waking the machine from the network while the card is not in D0: magic packets, unicast, multicast and broadcast
 * frames, and a restored link. Patterns are not supported.
 */
export class WakeUp {
  readonly #parts: WakeUpParts;
  readonly #magic = new MagicSequence();

  constructor(parts: WakeUpParts) {
    this.#parts = parts;
  }

  arrived(frame: Uint8Array): void {
    if (!this.#watches || !this.#matches(frame)) return;
    this.#parts.power.hasEvent = true;
  }

  linkIsUp(): void {
    const { registers, power } = this.#parts;
    if (this.#watches && (registers.u8(REG.config3) & CONFIG3.linkUp) !== 0) power.hasEvent = true;
  }

  get #watches(): boolean {
    const { registers, power } = this.#parts;
    return !power.isOn && !power.hasEvent && (registers.u8(REG.config1) & CONFIG1.power) !== 0;
  }

  #matches(frame: Uint8Array): boolean {
    const { registers, addressee } = this.#parts;
    const whom = addressee(frame);
    if (whom === null) return false;
    if ((registers.u8(REG.config5) & ENABLED_BY[whom]) !== 0) return true;
    return (
      (registers.u8(REG.config3) & CONFIG3.magic) !== 0 &&
      this.#magic.isIn(frame, registers.bytes(REG.idr, ADDRESS_BYTES))
    );
  }
}
