import type { DeviceState } from '../../device.ts';
import {
  BUTTON,
  type InputEvent,
  MOTION_MAX,
  POSITION_MAX,
  type PointerControl,
} from '../../input/input-event.ts';
import { booleanOf, DeviceStateError, numberOf, statesOf } from '../../state.ts';
import type { Reports } from './hid-device.ts';
import {
  application,
  FIELD,
  fields,
  type Item,
  item,
  PAGE,
  physical,
  range,
  USAGE,
  usages,
} from './report-descriptor.ts';

/** Bits of the first byte of a report, which are buttons 1 to 5. */
const BUTTON_BITS: ReadonlyMap<number, number> = new Map([
  [BUTTON.left, 0x01],
  [BUTTON.right, 0x02],
  [BUTTON.middle, 0x04],
  [BUTTON.side, 0x08],
  [BUTTON.extra, 0x10],
]);
const BUTTONS = 0x1f;
/** The maximum motion, or wheel movement, in one report. */
const STEP_MAX = 127;
/** Far more button changes than a busy guest leaves unread. */
const MAX_QUEUE = 32;

/** An event: `x` and `y` are motion, or a position. */
type Change = { isMotion: boolean; buttons: number; x: number; y: number; wheel: number };

/** Buttons, two axes, and the wheel. */
const descriptorOf = (axes: Item): Uint8Array =>
  application(
    USAGE.mouse,
    physical(
      USAGE.pointer,
      ...[usages(PAGE.buttons, 1, 5), range(0, 1), fields(5, 1), item('input', FIELD.absolute)],
      ...[fields(1, 3), item('input', FIELD.padding)],
      ...[item('usagePage', PAGE.desktop), item('usage', USAGE.x), item('usage', USAGE.y), axes],
      ...[
        item('usage', USAGE.wheel),
        range(-STEP_MAX, STEP_MAX),
        fields(1, 8),
        item('input', FIELD.relative),
      ],
    ),
  );

/** How the two kinds differ. */
const KINDS = {
  /** Also with the boot protocol (HID 1.11 appendix B.2), whose reports may be longer. */
  mouse: {
    descriptor: descriptorOf([
      ...range(-STEP_MAX, STEP_MAX),
      ...fields(2, 8),
      ...item('input', FIELD.relative),
    ]),
    axis: (value: number) => [value & 0xff],
  },
  tablet: {
    descriptor: descriptorOf([...range(0, POSITION_MAX), ...fields(2, 16), ...item('input', FIELD.absolute)]),
    axis: (value: number) => [value & 0xff, value >> 8],
  },
} as const;

/** The reports of a USB mouse or tablet with five buttons and a wheel. */
export class PointerReports implements Reports, PointerControl {
  readonly descriptor: Uint8Array;
  readonly absolute: boolean;
  readonly #axis: (value: number) => readonly number[];
  readonly #happened: () => void;
  #buttons = 0;
  /** The position of a tablet. */
  #x = 0;
  #y = 0;
  readonly #queue: Change[] = [];
  /** Buttons that were held in a loaded state, whose user is not here: they are released once the guest has room. */
  #abandoned = 0;
  #isUsed = false;

  /** @param happened called when there is a report to take */
  constructor(kind: keyof typeof KINDS, happened: () => void) {
    this.descriptor = KINDS[kind].descriptor;
    this.#axis = KINDS[kind].axis;
    this.absolute = kind === 'tablet';
    this.#happened = happened;
  }

  get active(): boolean {
    return this.#isUsed;
  }

  point(event: Exclude<InputEvent, { kind: 'key' }>): boolean {
    if (!this.#isUsed) return true;
    if (event.kind === 'button') {
      const isTaken = this.#press(BUTTON_BITS.get(event.code) ?? 0, event.down);
      this.#happened();
      return isTaken;
    }
    if (event.kind === (this.absolute ? 'motion' : 'position')) return true;
    const change = this.#moving();
    switch (event.kind) {
      case 'motion':
        change.x = bounded(change.x + event.dx);
        change.y = bounded(change.y + event.dy);
        break;
      case 'position':
        this.#x = change.x = event.x;
        this.#y = change.y = event.y;
        break;
      case 'wheel':
        // Away from the user, as in HID.
        change.wheel = bounded(change.wheel - event.dy);
        break;
    }
    this.#happened();
    return true;
  }

  get current(): Uint8Array {
    return this.#report(this.#change());
  }

  take(): Uint8Array | null {
    const report = this.#take();
    this.#releaseAbandoned();
    return report;
  }

  #take(): Uint8Array | null {
    const change = this.#queue[0];
    if (change === undefined) return null;
    const step = {
      ...change,
      ...(!this.absolute && { x: clamped(change.x), y: clamped(change.y) }),
      wheel: clamped(change.wheel),
    };
    if (!this.absolute) {
      change.x -= step.x;
      change.y -= step.y;
    }
    change.wheel -= step.wheel;
    const isReported = change.wheel === 0 && (this.absolute || (change.x === 0 && change.y === 0));
    if (isReported) this.#queue.shift();
    return this.#report(step);
  }

  output(): void {}

  clear(): void {
    this.#queue.length = 0;
    this.#buttons = 0;
    this.#abandoned = 0;
    this.#x = 0;
    this.#y = 0;
  }

  used(isUsed: boolean): void {
    this.#isUsed = isUsed;
  }

  resume(): void {
    this.#releaseAbandoned();
  }

  save(): DeviceState {
    return {
      buttons: this.#buttons,
      ...{ x: this.#x, y: this.#y },
      queued: this.#queue.length,
      queue: this.#queue.map(({ isMotion, buttons, x, y, wheel }) => ({
        ...{ isMotion, buttons },
        ...(this.absolute ? { x, y } : { x: x + MOTION_MAX, y: y + MOTION_MAX }),
        wheel: wheel + MOTION_MAX,
      })),
    };
  }

  load(state: DeviceState): void {
    const buttons = numberOf(state, 'buttons', BUTTONS);
    const [x, y] = [numberOf(state, 'x', POSITION_MAX), numberOf(state, 'y', POSITION_MAX)];
    const queued = numberOf(state, 'queued', MAX_QUEUE);
    const bias = this.absolute ? 0 : MOTION_MAX;
    const most = this.absolute ? POSITION_MAX : 2 * MOTION_MAX;
    const queue = statesOf(state, 'queue', queued).map(change => ({
      isMotion: booleanOf(change, 'isMotion'),
      buttons: numberOf(change, 'buttons', BUTTONS),
      x: numberOf(change, 'x', most) - bias,
      y: numberOf(change, 'y', most) - bias,
      wheel: numberOf(change, 'wheel', 2 * MOTION_MAX) - MOTION_MAX,
    }));
    if (queue.length > 0 && queue.at(-1)!.buttons !== buttons)
      throw new DeviceStateError('buttons', 'state of buttons');
    this.#buttons = buttons;
    this.#abandoned = buttons;
    this.#x = x;
    this.#y = y;
    this.#queue.splice(0, this.#queue.length, ...queue);
  }

  #press(bit: number, down: boolean): boolean {
    const buttons = down ? this.#buttons | bit : this.#buttons & ~bit;
    if (buttons === this.#buttons) return true;
    if (this.#queue.length >= MAX_QUEUE) return false;
    this.#buttons = buttons;
    this.#abandoned &= ~bit;
    this.#queue.push(this.#change());
    return true;
  }

  #releaseAbandoned(): void {
    if (this.#abandoned !== 0) this.#press(this.#abandoned, false);
  }

  #change(): Change {
    return { isMotion: false, buttons: this.#buttons, x: this.#x, y: this.#y, wheel: 0 };
  }

  /**
   * The event that motion adds to. A button is pressed at the pointer's position at that time, so such an event stays
   * unchanged while there is room for more.
   */
  #moving(): Change {
    const last = this.#queue.at(-1);
    if (last !== undefined && (last.isMotion || this.#queue.length >= MAX_QUEUE)) return last;
    const change = { ...this.#change(), isMotion: true };
    this.#queue.push(change);
    return change;
  }

  #report({ buttons, x, y, wheel }: Change): Uint8Array {
    return Uint8Array.from([buttons, ...this.#axis(x), ...this.#axis(y), wheel & 0xff]);
  }
}

const clamped = (value: number) => Math.max(-STEP_MAX, Math.min(STEP_MAX, value));
const bounded = (value: number) => Math.max(-MOTION_MAX, Math.min(MOTION_MAX, value));
