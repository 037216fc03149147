import type { AccessSize, Clock, DeviceState, IoHandler, MsiVector } from '../../device.ts';
import { Msi } from '../../pci/msi.ts';
import { Msix } from '../../pci/msix.ts';
import type { PciFunction } from '../../pci/pci-function.ts';
import { booleanOf, numberOf, stateOf } from '../../state.ts';
import type { CardInterrupts } from '../gigabit/card.ts';
import { Moderation } from '../gigabit/moderation.ts';
import type { Statistics } from '../gigabit/statistics.ts';
import type { NicPort } from '../nic-port.ts';
import { CAUSE, CAUSES, CTRL_EXT, IVAR, OTHER_CAUSES, REG, VECTORS } from './registers.ts';

/** The MSI-X table and the pending bits, in a BAR of their own. */
const MSIX_BAR = { index: 3, size: 0x4000, table: 0, pending: 0x2000 } as const;

/** Causes with a field in IVAR, in its order. */
const MAPPED = [CAUSE.RXQ0, CAUSE.RXQ1, CAUSE.TXQ0, CAUSE.TXQ1, CAUSE.OTHER] as const;
const TRANSMIT_CAUSES = CAUSE.TXQ0 | CAUSE.TXQ1;

/** The throttle of the pin and of MSI (ITR); those of the vectors (EITR) follow. */
const PIN_THROTTLE = 0;
const FIRST_VECTOR_THROTTLE = 1;

export type InterruptParts = {
  readonly function: PciFunction;
  readonly words: Uint32Array;
  readonly clock: Clock;
  readonly port: NicPort;
  readonly statistics: Statistics;
  readonly allocateMsi: () => MsiVector;
};

/**
 * Interrupt causes and their delivery, by the pin, MSI or MSI-X (§7.4, §10.2.4). ICR, IMS and the registers that map
 * and clear causes are words of the registers.
 */
export class Interrupts implements CardInterrupts {
  readonly #parts: InterruptParts;
  readonly #msi: Msi;
  readonly #msix: Msix;
  readonly #moderation: Moderation;
  /** The level of the pin. */
  #level = false;
  /** Causes of messages that the driver has not acknowledged. */
  #signaled = 0;
  /** Causes that delays hold back. */
  #delayed = { receive: 0, transmit: 0 };
  /** By vector, the causes of the message that is due: emptied after each use. */
  readonly #due = new Uint32Array(VECTORS);

  constructor(parts: InterruptParts) {
    const { function: fn, words, clock, allocateMsi } = parts;
    this.#parts = parts;
    this.#moderation = new Moderation({
      ...{ words, clock, throttles: FIRST_VECTOR_THROTTLE + VECTORS },
      expired: (receive, transmit) =>
        this.raise((receive ? this.#take('receive') : 0) | (transmit ? this.#take('transmit') : 0)),
    });
    this.#msi = new Msi(fn, allocateMsi(), () => this.update());
    this.#msix = new Msix(fn, {
      vectors: Array.from({ length: VECTORS }, allocateMsi),
      ...{ bar: MSIX_BAR.index, tableOffset: MSIX_BAR.table, pendingOffset: MSIX_BAR.pending },
      onEnable: () => this.update(),
    });
    fn.addBar(MSIX_BAR.index, { kind: 'memory32', size: MSIX_BAR.size, handler: this.#table });
  }

  raise(causes: number): void {
    const { words } = this.#parts;
    const isOther = this.#msix.enabled && (causes & OTHER_CAUSES) !== 0;
    words[REG.ICR]! |= (causes & CAUSES) | (isOther ? CAUSE.OTHER : 0);
    this.update();
  }

  /** A frame of a queue is in memory: raises its cause now or after RDTR, no later than RADV. */
  received(queue: number): void {
    const cause = this.#msix.enabled ? CAUSE.RXQ0 << queue : CAUSE.RXT0;
    if (this.#moderation.received()) this.#delayed.receive |= cause;
    else this.raise(cause);
  }

  /** Few descriptors of a receive queue are left. */
  low(queue: number): void {
    this.raise(this.#msix.enabled ? CAUSE.RXQ0 << queue : CAUSE.RXDMT0);
  }

  /** A descriptor of a transmit queue has been written back: raises its cause now or, with IDE, after TIDV. */
  sent(queue: number, delayed: boolean): void {
    const cause = this.#msix.enabled ? CAUSE.TXQ0 << queue : CAUSE.TXDW;
    this.#delayed.transmit |= cause;
    if (!this.#moderation.sent(delayed)) this.raise(this.#take('transmit'));
  }

  flush(direction: 'receive' | 'transmit'): void {
    this.#moderation.flush(direction);
  }

  /** ICR, without the effects of a read. */
  get causes(): number {
    const { words } = this.#parts;
    const asserted = (words[REG.ICR]! & words[REG.IMS]!) !== 0 ? CAUSE.INT_ASSERTED : 0;
    return words[REG.ICR]! + asserted;
  }

  /**
   * Reads ICR, which clears it unless MSI-X is on and there was no interrupt, and masks causes if IAME says so
   * (§10.2.4.1).
   */
  acknowledge(): number {
    const { words } = this.#parts;
    const { causes } = this;
    if (causes >= CAUSE.INT_ASSERTED || words[REG.IMS] === 0 || !this.#msix.enabled) words[REG.ICR] = 0;
    this.#autoMask(causes);
    this.update();
    return causes;
  }

  write(register: number, value: number): void {
    const { words } = this.#parts;
    switch (register) {
      case REG.ICR:
        this.#autoMask(this.causes);
        // Drivers for Windows clear what OTHER summarizes by that alone.
        words[REG.ICR]! &= ~(value | ((value & CAUSE.OTHER) !== 0 ? OTHER_CAUSES : 0));
        break;
      case REG.ICS:
        this.raise(value);
        return;
      case REG.IMS:
        words[REG.IMS]! |= value & CAUSES;
        break;
      case REG.IMC:
        words[REG.IMS]! &= ~value;
        break;
    }
    this.update();
  }

  /** PBACLR is written. */
  clearPending(vectors: number): void {
    for (const [index, vector] of this.#msix.vectors.entries())
      if (((vectors >>> index) & 1) !== 0) vector.clearPending();
  }

  /** Notifies the driver of unmasked causes. Call after anything that may affect that has changed. */
  update(): void {
    const { words } = this.#parts;
    const asserted = words[REG.ICR]! & words[REG.IMS]!;
    this.#signaled &= asserted;
    if (this.#msix.enabled) {
      this.#set(false);
      this.#sendVectors(asserted & ~this.#signaled);
    } else if (this.#msi.enabled) {
      this.#set(false);
      if ((asserted & ~this.#signaled) === 0 || !this.#moderation.opens(PIN_THROTTLE, words[REG.ITR]!))
        return;
      this.#signaled = asserted;
      this.#count('receive');
      this.#msi.signal();
    } else if (asserted === 0) this.#set(false);
    else if (!this.#level && this.#moderation.opens(PIN_THROTTLE, words[REG.ITR]!)) {
      this.#count('receive');
      this.#set(true);
    }
  }

  /** The card is reset by its driver. */
  reset(): void {
    this.#moderation.reset();
    this.#signaled = 0;
    this.#delayed = { receive: 0, transmit: 0 };
    this.#set(false);
  }

  /** The function is reset. */
  resetMessages(): void {
    this.#msi.reset();
    this.#msix.reset();
  }

  quiesce(): void {
    this.#moderation.quiesce();
  }

  resume(): void {
    this.#moderation.resume();
  }

  save(): DeviceState {
    return {
      ...this.#moderation.save(),
      level: this.#level,
      signaled: this.#signaled,
      delayedReceive: this.#delayed.receive,
      delayedTransmit: this.#delayed.transmit,
      msi: this.#msi.save(),
      msix: this.#msix.save(),
    };
  }

  /** @throws DeviceStateError */
  load(state: DeviceState): void {
    const level = booleanOf(state, 'level');
    const signaled = numberOf(state, 'signaled', CAUSES);
    const receive = numberOf(state, 'delayedReceive', CAUSES);
    const transmit = numberOf(state, 'delayedTransmit', CAUSES);
    const { words } = this.#parts;
    words[REG.ICR]! &= CAUSES;
    words[REG.IMS]! &= CAUSES;
    this.#moderation.load(state);
    this.#msi.load(stateOf(state, 'msi'));
    this.#msix.load(stateOf(state, 'msix'));
    this.#signaled = signaled;
    this.#delayed = { receive, transmit };
    this.#level = level;
    this.#parts.function.setInterrupt(level);
  }

  release(): void {
    this.#msi.release();
    this.#msix.release();
  }

  readonly #table: IoHandler = {
    read: (offset, size) => {
      if (offset >= MSIX_BAR.pending) return this.#msix.readPending(offset - MSIX_BAR.pending, size);
      const word = this.#msix.readTable(offset - MSIX_BAR.table);
      return size === 4 ? word : word & ((1 << (8 * size)) - 1);
    },
    write: (offset: number, size: AccessSize, value: number) => {
      if (offset < MSIX_BAR.pending) this.#msix.writeTable(offset - MSIX_BAR.table, size, value);
    },
  };

  /** Sends the messages of causes, as often as EITR allows; EIAC and EIAME clear and mask them (§7.4.5). */
  #sendVectors(causes: number): void {
    const { words } = this.#parts;
    const map = words[REG.IVAR]!;
    let isDue = false;
    for (const [index, cause] of MAPPED.entries()) {
      if ((causes & cause) === 0) continue;
      const field = map >>> (IVAR.bits * index);
      const vector = field & IVAR.vector;
      if ((field & IVAR.VALID) === 0 || vector >= VECTORS) continue;
      this.#due[vector]! |= cause;
      isDue = true;
    }
    if (!isDue) return;
    for (const [vector, due] of this.#due.entries()) {
      if (due === 0) continue;
      this.#due[vector] = 0;
      if (!this.#moderation.opens(FIRST_VECTOR_THROTTLE + vector, words[REG.EITR + vector]!)) continue;
      this.#signaled |= due;
      words[REG.ICR]! &= ~(due & words[REG.EIAC]!);
      if ((words[REG.CTRL_EXT]! & CTRL_EXT.EIAME) !== 0) words[REG.IMS]! &= ~(due & words[REG.IAM]!);
      this.#signaled &= words[REG.ICR]! & words[REG.IMS]!;
      this.#count((due & ~TRANSMIT_CAUSES) === 0 ? 'transmit' : 'receive');
      this.#msix.vectors[vector]!.signal();
    }
  }

  #autoMask(causes: number): void {
    const { words } = this.#parts;
    const isMasking = (words[REG.CTRL_EXT]! & CTRL_EXT.IAME) !== 0;
    if (isMasking && causes >= CAUSE.INT_ASSERTED) words[REG.IMS]! &= ~words[REG.IAM]!;
  }

  /** The causes that a delay has held back. */
  #take(direction: 'receive' | 'transmit'): number {
    const causes = this.#delayed[direction];
    this.#delayed[direction] = 0;
    return causes;
  }

  #count(direction: 'receive' | 'transmit'): void {
    const { port, statistics } = this.#parts;
    statistics.count(REG.IAC);
    port.interrupted(direction);
  }

  #set(level: boolean): void {
    if (level === this.#level) return;
    this.#level = level;
    this.#parts.function.setInterrupt(level);
  }
}
