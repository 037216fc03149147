import { BUTTON, POSITION_MAX, type PointerControl } from '../../input/input-event.ts';
import { ABS, EV, type QueueEvent, REL } from './event-codes.ts';
import type { InputDescription } from './input-config.ts';
import type { VirtioInput } from './virtio-input.ts';

const BUTTONS: readonly number[] = Object.values(BUTTON);

export const mouseEvents: InputDescription['events'] = new Map([
  [EV.key, BUTTONS],
  [EV.rel, [REL.x, REL.y, REL.wheel]],
]);

export const tabletEvents: InputDescription['events'] = new Map([
  [EV.key, BUTTONS],
  [EV.rel, [REL.wheel]],
  [EV.abs, [ABS.x, ABS.y]],
]);

export const tabletAxes: InputDescription['axes'] = new Map([
  [ABS.x, POSITION_MAX],
  [ABS.y, POSITION_MAX],
]);

/** A virtio mouse or tablet, as its user sees it. */
export function pointerControl(input: VirtioInput, absolute: boolean): PointerControl {
  return {
    get active() {
      return input.active;
    },
    absolute,
    point(event) {
      switch (event.kind) {
        case 'button':
          return input.press(event.code, event.down);
        case 'motion':
          if (!absolute) input.move([...moved(REL.x, event.dx), ...moved(REL.y, event.dy)]);
          return true;
        case 'position':
          if (absolute) input.move([at(ABS.x, event.x), at(ABS.y, event.y)]);
          return true;
        case 'wheel':
          // Away from the user, as in evdev.
          input.move(moved(REL.wheel, -event.dy));
          return true;
      }
    },
  };
}

const at = (code: number, value: number): QueueEvent => ({ type: EV.abs, code, value });
const moved = (code: number, value: number): QueueEvent[] =>
  value === 0 ? [] : [{ type: EV.rel, code, value }];
