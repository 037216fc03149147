import type { Cancel } from '../device.ts';

/** Buttons of a pointer (linux/input-event-codes.h). */
export const BUTTON = { left: 0x110, right: 0x111, middle: 0x112, side: 0x113, extra: 0x114 } as const;

/** The range of an absolute position, of both axes. */
export const POSITION_MAX = 0x7fff;
/** The largest distance that one event moves a pointer or a wheel. */
export const MOTION_MAX = 0x7fff;

/** A user's action on a keyboard or a pointer. */
export type InputEvent =
  /** `code`: KEY_* of linux/input-event-codes.h, which identifies a key by its position, whatever is printed on it. */
  | { readonly kind: 'key'; readonly code: number; readonly down: boolean }
  /** `code`: one of BUTTON. */
  | { readonly kind: 'button'; readonly code: number; readonly down: boolean }
  /** To the right and down, in counts of the device. */
  | { readonly kind: 'motion'; readonly dx: number; readonly dy: number }
  /** From the left and from the top of the screen, 0 to POSITION_MAX. */
  | { readonly kind: 'position'; readonly x: number; readonly y: number }
  /** Notches, toward the user. */
  | { readonly kind: 'wheel'; readonly dy: number };

export type Leds = { readonly scrollLock: boolean; readonly numLock: boolean; readonly capsLock: boolean };

/** The LEDs in `value`, given the bit of each. */
export function ledsOf(value: number, bits: Readonly<Record<keyof Leds, number>>): Leds {
  const isLit = (led: keyof Leds) => (value & bits[led]) !== 0;
  return { scrollLock: isLit('scrollLock'), numLock: isLit('numLock'), capsLock: isLit('capsLock') };
}

/** The lit LEDs, for screens. */
export function litLeds({ scrollLock, numLock, capsLock }: Leds): string {
  const lit = [
    numLock ? 'Num Lock' : [],
    capsLock ? 'Caps Lock' : [],
    scrollLock ? 'Scroll Lock' : [],
  ].flat();
  return lit.length === 0 ? 'none' : lit.join(', ');
}

/** A keyboard, as its user sees it. */
export interface KeyboardControl {
  /** Whether the guest has a driver for it now. */
  readonly active: boolean;
  readonly leds: Leds;
  /**
   * Presses or releases a key. A key that the keyboard lacks, or that is in that state already, is ignored.
   * @returns false if the guest has not yet taken enough of the earlier input: try again
   */
  key(code: number, down: boolean): boolean;
  /** Calls back when `leds` or `active` may have changed. */
  onChanged(hook: () => void): Cancel;
}

/** A pointer, as its user sees it. */
export interface PointerControl {
  /** Whether the guest has a driver for it now. */
  readonly active: boolean;
  /** Whether it takes `position` rather than `motion`. */
  readonly absolute: boolean;
  /**
   * Motion accumulates while the guest takes none. @returns false if the guest has not yet taken enough of the earlier
   * buttons: try again
   */
  point(event: Exclude<InputEvent, { readonly kind: 'key' }>): boolean;
}
