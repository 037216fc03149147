import type { AccessSize, DeviceState, IoHandler } from '../../device.ts';
import { numberOf, stateOf } from '../../state.ts';
import type { NicPort } from '../nic-port.ts';
import { Dp8390 } from './dp8390.ts';
import { PacketMemory } from './packet-memory.ts';
import { PAGE0_READ, PAGE3 } from './registers.ts';

const DATA = 0x10;
const RESET = 0x18;

/** The ID by which drivers recognize Realtek's chips: "P" and "C". */
const REALTEK_ID = [0x50, 0x43] as const;
/** CR9346: the mode in which CONFIG2 and CONFIG3 are writable. */
const CR9346_MODE = 0xc0;
/** CONFIG3: full duplex, sleep and power down. */
const CONFIG3_WRITABLE = 0x46;

export type Ne2000Options = {
  readonly mac: Uint8Array;
  readonly port: NicPort;
  /** Sets the level of its interrupt. */
  readonly interrupt: (level: boolean) => void;
  /** Whether it is Realtek's chip, which has an ID, and a fourth page of registers. */
  readonly isRealtek: boolean;
};

/** Novell's NE2000: a DP8390 with its PROM and its packet memory, behind 32 ports. */
export class Ne2000 implements IoHandler {
  readonly #controller: Dp8390;
  readonly #isRealtek: boolean;
  #cr9346 = 0;
  #config3 = 0;

  constructor({ mac, port, interrupt, isRealtek }: Ne2000Options) {
    this.#controller = new Dp8390(new PacketMemory(mac), port, interrupt);
    this.#isRealtek = isRealtek;
  }

  read(offset: number, size: AccessSize): number {
    if (offset >= DATA && offset < RESET) return this.#controller.readData(size);
    let value = 0;
    for (let i = 0; i < size; i++) value |= this.#readByte(offset + i) << (8 * i);
    return value >>> 0;
  }

  write(offset: number, size: AccessSize, value: number): void {
    if (offset >= DATA && offset < RESET) this.#controller.writeData(size, value);
    else for (let i = 0; i < size; i++) this.#writeByte(offset + i, (value >>> (8 * i)) & 0xff);
  }

  /** Sends the pending packet. */
  transmit(): void {
    this.#controller.transmit();
  }

  reset(): void {
    this.#cr9346 = 0;
    this.#config3 = 0;
    this.#controller.reset();
  }

  save(): DeviceState {
    return { controller: this.#controller.save(), cr9346: this.#cr9346, config3: this.#config3 };
  }

  /** @throws DeviceStateError */
  load(state: DeviceState): void {
    const cr9346 = numberOf(state, 'cr9346', 0xff) & CR9346_MODE;
    const config3 = numberOf(state, 'config3', 0xff) & CONFIG3_WRITABLE;
    this.#controller.load(stateOf(state, 'controller'));
    this.#cr9346 = cr9346;
    this.#config3 = config3;
  }

  #readByte(offset: number): number {
    if (offset >= RESET) {
      this.#controller.pulseReset();
      return 0;
    }
    if (!this.#isRealtek || offset === 0) return this.#controller.read(offset);
    if (this.#controller.page === 3) return this.#readPage3(offset);
    if (this.#controller.page === 0 && (offset === PAGE0_READ.id0 || offset === PAGE0_READ.id1))
      return REALTEK_ID[offset - PAGE0_READ.id0]!;
    return this.#controller.read(offset);
  }

  #writeByte(offset: number, value: number): void {
    // A write to the reset port ends a reset, which is over already.
    if (offset >= RESET) return;
    if (!this.#isRealtek || offset === 0 || this.#controller.page !== 3)
      this.#controller.write(offset, value);
    else if (offset === PAGE3.cr9346) this.#cr9346 = value & CR9346_MODE;
    else if (offset === PAGE3.config3 && this.#cr9346 === CR9346_MODE)
      this.#config3 = value & CONFIG3_WRITABLE;
  }

  #readPage3(offset: number): number {
    if (offset === PAGE3.cr9346) return this.#cr9346;
    // CONFIG0 and CONFIG2: twisted pair, autodetected.
    return offset === PAGE3.config3 ? this.#config3 : 0;
  }
}
