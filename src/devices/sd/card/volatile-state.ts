import type { DeviceState } from '../../device.ts';
import { booleanOf, numberOf } from '../../state.ts';
import { type CardState, STATE } from './registers.ts';

/** What a card forgets when it loses power, or is reset by the host. */
export type VolatileState = {
  state: CardState;
  /** Relative card address; 0 if none is assigned yet. */
  address: number;
  /** Whether the next command is an application command. */
  isApplication: boolean;
  /** Errors that no response has reported. */
  errors: number;
  hasInterface: boolean;
  isWide: boolean;
  isHighSpeed: boolean;
  /** SET_BLOCK_COUNT: the blocks of the next transfer; 0 if not set. */
  blockCount: number;
  /** Offsets on the disk. */
  eraseStart: number | null;
  eraseEnd: number | null;
};

export function initialState(): VolatileState {
  return {
    state: STATE.idle,
    address: 0,
    isApplication: false,
    errors: 0,
    hasInterface: false,
    isWide: false,
    isHighSpeed: false,
    blockCount: 0,
    eraseStart: null,
    eraseEnd: null,
  };
}

/** The saved one of a card of `size` bytes. @throws DeviceStateError */
export function parseVolatileState(saved: DeviceState, size: number): VolatileState {
  const states: readonly number[] = Object.values(STATE);
  const offset = (key: string) => (saved[key] === null ? null : numberOf(saved, key, size));
  return {
    state: states.includes(numberOf(saved, 'state')) ? (saved.state as CardState) : STATE.idle,
    address: numberOf(saved, 'address', 0xffff),
    isApplication: booleanOf(saved, 'isApplication'),
    errors: numberOf(saved, 'errors', 0xffff_ffff),
    hasInterface: booleanOf(saved, 'hasInterface'),
    isWide: booleanOf(saved, 'isWide'),
    isHighSpeed: booleanOf(saved, 'isHighSpeed'),
    blockCount: numberOf(saved, 'blockCount', 0xffff_ffff),
    eraseStart: offset('eraseStart'),
    eraseEnd: offset('eraseEnd'),
  };
}
