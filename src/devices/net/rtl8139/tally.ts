import type { DeviceState } from '../../device.ts';
import { numberOf } from '../../state.ts';

/** The tally counters (data sheet, section 6.1): the offset and size of each in the dump. */
const LAYOUT = [
  ['txOk', 0, 8],
  ['rxOk', 8, 8],
  ['txError', 16, 8],
  ['rxError', 24, 4],
  ['missed', 28, 2],
  ['alignmentErrors', 30, 2],
  ['oneCollision', 32, 4],
  ['collisions', 36, 4],
  ['rxPhysical', 40, 8],
  ['rxBroadcast', 48, 8],
  ['rxMulticast', 56, 4],
  ['txAborted', 60, 2],
  ['txUnderrun', 62, 2],
] as const;

export type TallyName = (typeof LAYOUT)[number][0];

export const TALLY_BYTES = 64;

/** What the card counts for its driver since power-on. */
export class Tally {
  readonly #counts = new Map<TallyName, number>(LAYOUT.map(([name]) => [name, 0]));

  count(name: TallyName): void {
    this.#counts.set(name, this.#counts.get(name)! + 1);
  }

  /** Writes a dump for the driver. @param target `TALLY_BYTES` */
  dump(target: Uint8Array): void {
    const view = new DataView(target.buffer, target.byteOffset, target.length);
    for (const [name, offset, bytes] of LAYOUT) {
      const count = this.#counts.get(name)!;
      if (bytes === 8) view.setBigUint64(offset, BigInt(count), true);
      else if (bytes === 4) view.setUint32(offset, count >>> 0, true);
      else view.setUint16(offset, count & 0xffff, true);
    }
  }

  reset(): void {
    for (const [name] of LAYOUT) this.#counts.set(name, 0);
  }

  save(): DeviceState {
    return Object.fromEntries(this.#counts);
  }

  /** @throws DeviceStateError */
  load(state: DeviceState): void {
    const counts = LAYOUT.map(([name]) => [name, numberOf(state, name)] as const);
    for (const [name, count] of counts) this.#counts.set(name, count);
  }
}
