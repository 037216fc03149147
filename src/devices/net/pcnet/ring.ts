import type { DeviceState } from '../../device.ts';
import { DeviceStateError, numberOf, stateOf } from '../../state.ts';
import { lengthOf } from './descriptors.ts';

/** The initialization block can set a ring of up to 512 descriptors. */
const MAX_RING_BITS = 9;

/** A ring of descriptors: its address and length, and the card's position in it. */
export type Ring = { base: number; length: number; index: number };

export function descriptorAt({ base, index }: Ring, bytes: number): number {
  return base + bytes * index;
}

export function advance(ring: Ring): void {
  ring.index = (ring.index + 1) % ring.length;
}

/** Restarts a ring. @param bits its length as a power of two */
export function setRing(ring: Ring, base: number, bits: number): void {
  ring.base = base;
  ring.length = 2 ** Math.min(bits, MAX_RING_BITS);
  ring.index = 0;
}

/** Restarts one whose length is a negative number in a register (CSR76, CSR78). */
export function setLength(ring: Ring, negative: number): void {
  ring.length = lengthOf(negative);
  ring.index = 0;
}

/**
 * The number of descriptors until the ring wraps (CSR72, CSR74), in the registers' form: at its beginning, the length.
 */
export function counterOf({ length, index }: Ring): number {
  return (length - index) & 0xffff;
}

/** Moves to where this many are left. */
export function setCounter(ring: Ring, value: number): void {
  if (value > 0 && value <= ring.length) ring.index = ring.length - value;
}

/** @throws DeviceStateError */
export function loadRing(state: DeviceState, key: string): Ring {
  const saved = stateOf(state, key);
  const length = numberOf(saved, 'length', 0x1_0000);
  if (length === 0) throw new DeviceStateError('length', 'length of a ring');
  return { base: numberOf(saved, 'base', 0xffff_ffff), length, index: numberOf(saved, 'index', length - 1) };
}
