import type { KeyboardControl } from '../../input/input-event.ts';
import { KEY } from '../../input/key-codes.ts';
import { EV, LED } from './event-codes.ts';
import type { InputDescription } from './input-config.ts';
import type { VirtioInput } from './virtio-input.ts';

export const keyboardEvents: InputDescription['events'] = new Map<number, readonly number[]>([
  [EV.key, Object.values(KEY)],
  [EV.led, Object.values(LED)],
  // The guest repeats keys that are held.
  [EV.rep, []],
]);

/** A virtio keyboard, as its user sees it. */
export function keyboardControl(input: VirtioInput): KeyboardControl {
  return {
    get active() {
      return input.active;
    },
    get leds() {
      return input.leds;
    },
    key: (code, down) => input.press(code, down),
    onChanged: hook => input.onChanged(hook),
  };
}
