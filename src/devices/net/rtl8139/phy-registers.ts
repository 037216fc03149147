import type { DeviceState } from '../../device.ts';
import { MII, MiiPhy } from '../mii-phy.ts';
import { REG } from './registers.ts';

/** The internal PHY has no ID registers (data sheet, section 6.21), so this is Realtek's, model 0. */
const ID = 0x001c_c800;

/** MII registers by the registers of the card that show them, two bytes each (sections 6.21 to 6.25). */
const MII_REGISTERS: Readonly<Record<number, number>> = {
  [REG.bmcr]: MII.control,
  [REG.bmsr]: MII.status,
  [REG.anar]: MII.advertisement,
  [REG.anlpar]: MII.linkPartner,
  [REG.aner]: MII.expansion,
};

/** The PHY, whose registers are mapped among those of the card. */
export class PhyRegisters {
  readonly #phy = new MiiPhy(ID);
  /** The value being written to a register byte by byte. */
  #written: number | null = null;

  get link(): boolean {
    return this.#phy.link;
  }

  set link(up: boolean) {
    this.#phy.link = up;
  }

  get is100(): boolean {
    return this.#phy.is100;
  }

  /** Whether a byte belongs to one of its registers. */
  has(index: number): boolean {
    return index >= REG.bmcr && index < REG.nwaytr;
  }

  readByte(index: number): number {
    return (this.#read(index & ~1) >>> (8 * (index & 1))) & 0xff;
  }

  /** Collects bytes written to a register, until `commit`. */
  writeByte(index: number, byte: number): void {
    const register = index & ~1;
    if (register !== REG.bmcr && register !== REG.anar) return;
    this.#written ??= this.#read(register);
    const shift = 8 * (index & 1);
    this.#written = (this.#written & ~(0xff << shift)) | (byte << shift);
  }

  /** The register has been written. */
  commit(register: typeof REG.bmcr | typeof REG.anar): void {
    this.#phy.write(MII_REGISTERS[register]!, this.#written ?? this.#read(register));
    this.#written = null;
  }

  reset(): void {
    this.#phy.reset();
  }

  save(): DeviceState {
    return this.#phy.save();
  }

  /** @throws DeviceStateError */
  load(state: DeviceState): void {
    this.#phy.load(state);
  }

  #read(register: number): number {
    const mii = MII_REGISTERS[register];
    return mii === undefined ? 0 : this.#phy.read(mii);
  }
}
