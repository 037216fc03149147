import type { Cancel, DeviceState } from '../../device.ts';
import { type KeyboardControl, type Leds, ledsOf } from '../../input/input-event.ts';
import { bytesOf, DeviceStateError, numberOf } from '../../state.ts';
import type { Reports } from './hid-device.ts';
import { application, FIELD, fields, item, PAGE, range, USAGE, usages } from './report-descriptor.ts';
import { FIRST_MODIFIER, ROLL_OVER, USAGES } from './usages.ts';

/** Modifiers, a reserved byte, and the held keys (HID 1.11 appendix B.1). */
const REPORT = { bytes: 8, modifiers: 0, keys: 2 } as const;
const MAX_KEYS = REPORT.bytes - REPORT.keys;
const LED = { numLock: 0x01, capsLock: 0x02, scrollLock: 0x04 } as const;
const LED_BITS = 0x1f;
/** Far more than anyone types ahead of a busy guest. */
const MAX_QUEUE = 32;
const FIRST_USAGE = 0x04;
const LAST_USAGE = FIRST_MODIFIER + 7;

/** A keyboard's reports, which are the same in the boot protocol (HID 1.11 appendix B.1, E.6). */
const DESCRIPTOR = application(
  USAGE.keyboard,
  ...[
    usages(PAGE.keyboard, FIRST_MODIFIER, LAST_USAGE),
    range(0, 1),
    fields(8, 1),
    item('input', FIELD.absolute),
  ],
  ...[fields(1, 8), item('input', FIELD.padding)],
  ...[usages(PAGE.leds, 1, 5), fields(5, 1), item('output', FIELD.absolute)],
  ...[fields(1, 3), item('output', FIELD.padding)],
  ...[range(0, 0xff), usages(PAGE.keyboard, 0, 0xff), fields(MAX_KEYS, 8), item('input', FIELD.array)],
);

/** The reports of a USB keyboard with 104 keys and more: the held keys, after each key press and release. */
export class KeyboardReports implements Reports, KeyboardControl {
  readonly descriptor = DESCRIPTOR;
  readonly #happened: () => void;
  readonly #hooks = new Set<() => void>();
  /** Usages, in the order in which they were pressed. */
  readonly #held = new Set<number>();
  readonly #queue: Uint8Array[] = [];
  #leds = 0;
  #isUsed = false;
  /** Those that were held in a loaded state, whose user is not here: they are released as the guest has room. */
  readonly #abandoned = new Set<number>();

  /** @param happened called when there is a report to take */
  constructor(happened: () => void) {
    this.#happened = happened;
  }

  get active(): boolean {
    return this.#isUsed;
  }

  get leds(): Leds {
    return ledsOf(this.#leds, LED);
  }

  onChanged(hook: () => void): Cancel {
    this.#hooks.add(hook);
    return () => this.#hooks.delete(hook);
  }

  key(code: number, down: boolean): boolean {
    const usage = USAGES.get(code);
    if (usage === undefined || !this.#isUsed || this.#held.has(usage) === down) return true;
    if (!this.#set(usage, down)) return false;
    this.#happened();
    return true;
  }

  get current(): Uint8Array {
    const report = new Uint8Array(REPORT.bytes);
    const keys: number[] = [];
    for (const usage of this.#held) {
      if (usage >= FIRST_MODIFIER) report[REPORT.modifiers]! |= 1 << (usage - FIRST_MODIFIER);
      else keys.push(usage);
    }
    if (keys.length > MAX_KEYS) report.fill(ROLL_OVER, REPORT.keys);
    else report.set(keys, REPORT.keys);
    return report;
  }

  take(): Uint8Array | null {
    const report = this.#queue.shift() ?? null;
    this.#releaseAbandoned();
    return report;
  }

  output(report: Uint8Array): void {
    this.#setLeds((report[0] ?? 0) & LED_BITS);
  }

  clear(): void {
    this.#held.clear();
    this.#queue.length = 0;
    this.#abandoned.clear();
    this.#setLeds(0);
  }

  used(isUsed: boolean): void {
    if (isUsed === this.#isUsed) return;
    this.#isUsed = isUsed;
    this.#changed();
  }

  resume(): void {
    this.#releaseAbandoned();
  }

  save(): DeviceState {
    const queue = new Uint8Array(this.#queue.length * REPORT.bytes);
    this.#queue.forEach((report, at) => {
      queue.set(report, at * REPORT.bytes);
    });
    return { leds: this.#leds, held: Uint8Array.from(this.#held), queue };
  }

  load(state: DeviceState): void {
    const leds = numberOf(state, 'leds', LED_BITS);
    const held = bytesOf(state, 'held');
    const queue = bytesOf(state, 'queue');
    if (queue.length % REPORT.bytes !== 0 || queue.length > MAX_QUEUE * REPORT.bytes)
      throw new DeviceStateError('queue', 'list of reports');
    if (new Set(held).size !== held.length || held.some(usage => usage < FIRST_USAGE || usage > LAST_USAGE))
      throw new DeviceStateError('held', 'list of keys');
    for (const usages of [this.#held, this.#abandoned]) {
      usages.clear();
      for (const usage of held) usages.add(usage);
    }
    this.#queue.length = 0;
    for (let at = 0; at < queue.length; at += REPORT.bytes)
      this.#queue.push(queue.slice(at, at + REPORT.bytes));
    this.#setLeds(leds);
  }

  #set(usage: number, down: boolean): boolean {
    if (this.#queue.length >= MAX_QUEUE) return false;
    if (down) this.#held.add(usage);
    else this.#held.delete(usage);
    this.#abandoned.delete(usage);
    this.#queue.push(this.current);
    return true;
  }

  #releaseAbandoned(): void {
    for (const usage of this.#abandoned) if (!this.#set(usage, false)) return;
  }

  #setLeds(leds: number): void {
    if (leds === this.#leds) return;
    this.#leds = leds;
    this.#changed();
  }

  #changed(): void {
    for (const hook of this.#hooks) hook();
  }
}
