import type { BuiltDevice } from '../../devices/device-type.ts';
import type { InputEvent, KeyboardControl, PointerControl } from '../../devices/input/input-event.ts';

/** Counts of a mouse for the whole width or height of the screen, when a position is turned into motion. */
const COUNTS_PER_SCREEN = 1024;
const POSITIONS = 0x8000;

/** Passes on users' input to the keyboard and the pointer that the guest uses. */
export class MachineInput {
  /** The last position that was turned into motion, in counts. */
  #at: { readonly x: number; readonly y: number } | null = null;
  /** Where keys and buttons are held, by code. */
  readonly #keys = new Map<number, KeyboardControl>();
  readonly #buttons = new Map<number, PointerControl>();

  /**
   * Passes on events, in order. @returns how many; the guest has not consumed enough of the earlier ones for the rest
   * @throws an error for the user
   */
  pass(devices: readonly BuiltDevice[], events: readonly InputEvent[]): number {
    const done = events.findIndex(event => !this.#passOne(devices, event));
    return done < 0 ? events.length : done;
  }

  #passOne(devices: readonly BuiltDevice[], event: InputEvent): boolean {
    if (event.kind === 'key') {
      const keyboards = devices.flatMap(({ capabilities }) => capabilities?.keyboard ?? []);
      const keyboard = holder(this.#keys, event.code, keyboards) ?? preferred(keyboards);
      if (keyboard === null)
        throw new Error('the VM has no keyboard: add a usb-kbd or virtio-keyboard to its devices');
      return hold(this.#keys, keyboard, event, keyboard.key(event.code, event.down));
    }
    const pointers = devices.flatMap(({ capabilities }) => capabilities?.pointer ?? []);
    const pointer = preferred(pointers);
    if (pointer === null)
      throw new Error('the VM has no mouse: add a usb-tablet or virtio-tablet to its devices');
    if (event.kind === 'button') {
      const owner = holder(this.#buttons, event.code, pointers) ?? pointer;
      return hold(this.#buttons, owner, event, owner.point(event));
    }
    if (event.kind === 'position' && !pointer.absolute) return this.#move(pointer, event);
    if (event.kind !== 'wheel') this.#at = null;
    return pointer.point(event);
  }

  /** Moves a relative mouse by the difference to the last position. */
  #move(pointer: PointerControl, position: { readonly x: number; readonly y: number }): boolean {
    const counts = (value: number) => Math.round((value * COUNTS_PER_SCREEN) / POSITIONS);
    const to = { x: counts(position.x), y: counts(position.y) };
    const from = this.#at ?? to;
    this.#at = to;
    return pointer.point({ kind: 'motion', dx: to.x - from.x, dy: to.y - from.y });
  }
}

/**
 * Where a key or a button is held: its release must get there, even if the guest has started the driver of another
 * device in the meantime. Null if it is not held, or if the device is gone.
 */
function holder<Control>(
  held: ReadonlyMap<number, Control>,
  code: number,
  controls: readonly Control[],
): Control | null {
  const control = held.get(code);
  return control !== undefined && controls.includes(control) ? control : null;
}

/** Notes where it is held now. @returns `isTaken` */
function hold<Control>(
  held: Map<number, Control>,
  control: Control,
  { code, down }: { readonly code: number; readonly down: boolean },
  isTaken: boolean,
): boolean {
  if (isTaken && down) held.set(code, control);
  else if (isTaken) held.delete(code);
  return isTaken;
}

/** The last one for which the guest has a driver: a device that was added is meant to be used. */
function preferred<Control extends KeyboardControl | PointerControl>(
  controls: readonly Control[],
): Control | null {
  return controls.findLast(({ active }) => active) ?? controls[0] ?? null;
}
