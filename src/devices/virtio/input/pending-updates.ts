import { MOTION_MAX, POSITION_MAX } from '../../input/input-event.ts';
import { DeviceStateError } from '../../state.ts';
import { decodeEvent, EV, EVENT_BYTES, encodeEvent, type QueueEvent, SYN_REPORT } from './event-codes.ts';

/** Far more keys and buttons than a busy guest leaves untaken. */
const MAX_PRESSES = 32;
/** Motion may follow the last of them. */
const MAX_UPDATES = MAX_PRESSES + 1;
/** Two axes, the wheel, and the end. */
const MAX_EVENTS = 4;

/** The values that events of a type may have. */
const RANGES: ReadonlyMap<number, readonly [number, number]> = new Map([
  [EV.key, [0, 1]],
  [EV.rel, [-MOTION_MAX, MOTION_MAX]],
  [EV.abs, [0, POSITION_MAX]],
]);

/** Updates that wait for the driver's buffers. Each is one or several events, without the one that ends it. */
export class PendingUpdates {
  readonly #updates: QueueEvent[][] = [];

  get first(): readonly QueueEvent[] | undefined {
    return this.#updates[0];
  }

  shift(): void {
    this.#updates.shift();
  }

  clear(): void {
    this.#updates.length = 0;
  }

  /** Adds a change of a key or a button. @returns false if the guest has not taken enough of the earlier ones */
  press(code: number, down: boolean): boolean {
    if (this.#updates.length >= MAX_PRESSES) return false;
    this.#updates.push([{ type: EV.key, code, value: down ? 1 : 0 }]);
    return true;
  }

  /** Adds motion to what has not been taken since the last change of a button. */
  move(events: readonly QueueEvent[]): void {
    const last = this.#updates.at(-1);
    if (last === undefined || last[0]!.type === EV.key) {
      this.#updates.push([...events]);
      return;
    }
    for (const event of events) {
      const at = last.findIndex(({ type, code }) => type === event.type && code === event.code);
      if (at < 0) last.push(event);
      else last[at] = event.type === EV.rel ? { ...event, value: sum(last[at]!.value, event.value) } : event;
    }
  }

  /** As they would be in the driver's buffers. */
  save(): Uint8Array {
    const events = this.#updates.flatMap(update => [...update, SYN_REPORT]);
    return Uint8Array.from(events.flatMap(event => [...encodeEvent(event)]));
  }

  /** @param has whether the device has an event. @throws DeviceStateError */
  load(bytes: Uint8Array, has: (type: number, code: number) => boolean): void {
    const updates: QueueEvent[][] = [];
    let update: QueueEvent[] = [];
    for (let at = 0; at + EVENT_BYTES <= bytes.length; at += EVENT_BYTES) {
      const event = decodeEvent(bytes.subarray(at));
      const [least, most] = RANGES.get(event.type) ?? [0, 0];
      const isEnd = event.type === EV.syn && event.code === 0;
      const isOwn = isEnd ? update.length > 0 : has(event.type, event.code) && update.length + 1 < MAX_EVENTS;
      if (!isOwn || event.value < least || event.value > most) throw damaged();
      if (isEnd) updates.push(update);
      update = isEnd ? [] : [...update, event];
    }
    if (bytes.length % EVENT_BYTES !== 0 || update.length > 0 || updates.length > MAX_UPDATES)
      throw damaged();
    this.#updates.splice(0, this.#updates.length, ...updates);
  }
}

const damaged = () => new DeviceStateError('pending', 'list of events');
const sum = (a: number, b: number) => Math.max(-MOTION_MAX, Math.min(MOTION_MAX, a + b));
