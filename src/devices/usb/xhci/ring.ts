import type { DeviceState } from '../../device.ts';
import { numberOf } from '../../state.ts';
import type { GuestAccess } from './guest-access.ts';
import { CONTROL, TRB, TRB_BYTES, type Trb, typeOf } from './trb.ts';

/** A position in a guest's ring (xHCI 1.1 §4.9.2): the next TRB, and the cycle bit that marks it as written. */
export type RingPlace = { readonly address: number; readonly cycle: 0 | 1 };

/** Consecutive links. No driver needs more than one. */
const MAX_LINKS = 16;

/** A chain of links does not end. */
export class RingError extends Error {
  override readonly name = 'RingError';
}

/** From 64 bits with a pointer and the cycle bit. */
export function placeOf(pointer: number): RingPlace {
  const bits = pointer % TRB_BYTES;
  return { address: pointer - bits, cycle: bits & 1 ? 1 : 0 };
}

/** The next TRB, after links; null if the driver has not written it. @throws HostSystemError, RingError */
export function nextTrb(
  memory: GuestAccess,
  place: RingPlace,
): { readonly trb: Trb; readonly after: RingPlace; readonly at: RingPlace } | null {
  let { address, cycle } = place;
  for (let links = 0; links <= MAX_LINKS; links++) {
    const trb = memory.readTrb(address);
    if ((trb.control & CONTROL.cycle) !== cycle) return null;
    if (typeOf(trb) !== TRB.link)
      return { trb, at: { address, cycle }, after: { address: address + TRB_BYTES, cycle } };
    address = trb.pointer - (trb.pointer % TRB_BYTES);
    if (trb.control & CONTROL.toggle) cycle = cycle === 1 ? 0 : 1;
  }
  throw new RingError(`links from 0x${place.address.toString(16)} on lead nowhere`);
}

export function savePlace({ address, cycle }: RingPlace): DeviceState {
  return { address, cycle };
}

/** @throws DeviceStateError */
export function loadPlace(state: DeviceState): RingPlace {
  const address = numberOf(state, 'address');
  return { address: address - (address % TRB_BYTES), cycle: numberOf(state, 'cycle', 1) === 1 ? 1 : 0 };
}
