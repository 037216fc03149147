import type { PowerManagement } from '../../pci/power-management.ts';
import { ADDRESS_BYTES } from '../ethernet.ts';
import { MagicSequence } from '../magic-packet.ts';
import type { Addressee } from './receive.ts';
import type { RegisterFile } from './register-file.ts';
import { CONFIG1, CONFIG3, CONFIG5, REG } from './registers.ts';

export type WakeUpParts = {
  readonly registers: RegisterFile;
  readonly power: PowerManagement;
  /** Whom a frame is for, if the receiver's filter lets it pass. */
  readonly addressee: (frame: Uint8Array) => Addressee | null;
};

/** By which frames without a pattern of their own the machine wakes up. */
const ENABLED_BY = { physical: CONFIG5.unicast, multicast: CONFIG5.multicast, broadcast: CONFIG5.broadcast };

/**
 * What of the network wakes up the machine while the card is not in D0: magic packets, frames to the card, to a group or
 * to all, and a link that is there again. Frames by patterns are not among it.
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
