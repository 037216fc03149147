import type { DeviceState } from '../../device.ts';
import { bytesOf, DeviceStateError, stateOf } from '../../state.ts';
import { MiiPhy } from '../mii-phy.ts';
import { BCR, BCR_POWER_ON, BCR_WRITABLE, BCRS, BURST_DWIO, LED, STYLE } from './registers.ts';

/** The ID of an Am79C874 PHY, which is integrated in the Am79C973. */
const PHY_ID = 0x0022_5610;
/** Its address on the management bus: the data sheet's default. */
const PHY_ADDRESS = 0x1e;

/** The bus configuration registers (BCR), and the PHY behind three of them. */
export class BusRegisters {
  readonly phy = new MiiPhy(PHY_ID);
  readonly #values = new Uint16Array(BCRS);

  constructor() {
    this.#powerOn();
  }

  /** Whether registers are accessed as 32 bits. */
  get isDword(): boolean {
    return (this.#values[BCR.burst]! & BURST_DWIO) !== 0;
  }

  setDword(): void {
    this.#values[BCR.burst]! |= BURST_DWIO;
  }

  /** BCR20: the form of descriptors, 0 to 3, and whether addresses have 32 bits. */
  get style(): number {
    return this.#values[BCR.style]!;
  }

  read(register: number): number {
    const value = this.#values[register & (BCRS - 1)]!;
    if (register >= BCR.led0 && register <= BCR.led3) {
      return (value & LED.link) !== 0 && this.phy.link ? value | LED.lit : value;
    }
    if (register !== BCR.miiData) return register < BCRS ? value : 0;
    const address = this.#values[BCR.miiAddress]!;
    return address >> 5 === PHY_ADDRESS ? this.phy.read(address & 0x1f) : 0xffff;
  }

  write(register: number, value: number): void {
    if (register === BCR.style) this.setStyle(value);
    else if (register === BCR.miiData) {
      const address = this.#values[BCR.miiAddress]!;
      if (address >> 5 === PHY_ADDRESS) this.phy.write(address & 0x1f, value);
    } else {
      const mask = BCR_WRITABLE[register] ?? 0;
      if (mask !== 0) this.#values[register] = (this.#values[register]! & ~mask) | (value & mask);
    }
  }

  /** The size of addresses follows from the style; reserved styles act as 0 (data sheet, BCR20). */
  setStyle(value: number): void {
    const style = (value & STYLE.style) > 3 ? 0 : value & STYLE.style;
    const size = style === 0 ? 0 : STYLE.size32;
    this.#values[BCR.style] = style | size | (style === 1 ? 0 : STYLE.pcnet);
  }

  /** The reset pin. */
  reset(): void {
    this.#powerOn();
    this.phy.reset();
  }

  save(): DeviceState {
    return { values: new Uint8Array(this.#values.slice().buffer), phy: this.phy.save() };
  }

  /** @throws DeviceStateError */
  load(state: DeviceState): void {
    const bytes = bytesOf(state, 'values');
    if (bytes.length !== this.#values.byteLength) throw new DeviceStateError('values', `${BCRS} registers`);
    this.phy.load(stateOf(state, 'phy'));
    this.#powerOn();
    const saved = new Uint16Array(bytes.slice().buffer);
    for (let register = 0; register < BCRS; register++) {
      if (register !== BCR.miiData) this.write(register, saved[register]!);
    }
  }

  #powerOn(): void {
    for (let register = 0; register < BCRS; register++) this.#values[register] = BCR_POWER_ON[register] ?? 0;
  }
}
