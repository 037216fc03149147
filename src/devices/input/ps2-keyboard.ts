import type { Cancel, Clock, DeviceState } from '../device.ts';
import { booleanOf, bytesOf, DeviceStateError, numberOf, stateOf } from '../state.ts';
import { type KeyboardControl, type Leds, ledsOf } from './input-event.ts';
import { KEY, MODIFIERS } from './key-codes.ts';
import { Ps2Output, REPLY } from './ps2-device.ts';
import { SCAN_CODES, scanCodes } from './scan-codes.ts';

/** Commands to a PS/2 keyboard (IBM Personal System/2 Technical Reference, "Keyboard"). */
const COMMAND = {
  setLeds: 0xed,
  echo: 0xee,
  scanCodeSet: 0xf0,
  identify: 0xf2,
  setTypematic: 0xf3,
  enable: 0xf4,
  disable: 0xf5,
  setDefaults: 0xf6,
  /** All keys, in set 3: their behavior when held and released. */
  allTypematic: 0xf7,
  allMakeBreak: 0xf8,
  allMake: 0xf9,
  allTypematicMakeBreak: 0xfa,
  /** The same for the keys that follow, by their codes in set 3. */
  keyTypematic: 0xfb,
  keyMakeBreak: 0xfc,
  keyMake: 0xfd,
  resend: 0xfe,
  reset: 0xff,
} as const;

/** The ID of an MF2 keyboard. */
const ID = [0xab, 0x83] as const;

const LED = { scrollLock: 0x01, numLock: 0x02, capsLock: 0x04 } as const;
const LED_BITS = 0x07;

/** 500 ms until a held key repeats, then 10.9 times a second. */
const DEFAULT_TYPEMATIC = 0x2b;
const TYPEMATIC_BITS = 0x7f;
const MS = 1_000_000n;

/** The behavior of a key in set 3. In the other sets all keys do both. */
const REPEATS = 1;
const BREAKS = 2;
const DEFAULT_BREAKS: readonly number[] = [
  KEY.leftshift,
  KEY.rightshift,
  KEY.leftctrl,
  KEY.leftalt,
  KEY.capslock,
];
/** Keys of the typewriter, cursor keys, Delete and the keypad's plus. */
const DEFAULT_REPEATS = (key: number) =>
  (key >= KEY['1'] && key <= KEY.slash && key !== KEY.leftctrl) ||
  (
    [KEY.space, KEY.up, KEY.down, KEY.left, KEY.right, KEY.delete, KEY.kpplus, KEY['102nd']] as number[]
  ).includes(key);

/** Far more than anyone types ahead of a busy guest. */
const INPUT_MAX = 128;

export type Ps2KeyboardOptions = {
  readonly clock: Clock;
  /** Called when there is a byte to take. */
  readonly sent: () => void;
};

/**
 * A PS/2 keyboard with 102 keys, in scan code sets 1, 2 and 3. It repeats a held key itself, so that the repeat rate
 * does not depend on a network.
 */
export class Ps2Keyboard implements KeyboardControl {
  readonly #clock: Clock;
  readonly #output: Ps2Output;
  readonly #hooks = new Set<() => void>();
  /** The command that waits for its parameter, 0 if none. */
  #pending = 0;
  #leds = 0;
  #set: 1 | 2 | 3 = 2;
  #typematic = DEFAULT_TYPEMATIC;
  #scanning = true;
  /** By code of set 3: REPEATS | BREAKS. */
  #types = defaultTypes();
  readonly #held = new Set<number>();
  /** The repeating key: the one pressed last. */
  #repeating: number | null = null;
  #cancelRepeat: Cancel = () => {};
  /** Those that were held in a loaded state, whose user is not here: they are released as the guest has room. */
  readonly #abandoned = new Set<number>();

  constructor({ clock, sent }: Ps2KeyboardOptions) {
    this.#clock = clock;
    this.#output = new Ps2Output(INPUT_MAX, sent);
  }

  get active(): boolean {
    return this.#scanning;
  }

  get leds(): Leds {
    return ledsOf(this.#leds, LED);
  }

  onChanged(hook: () => void): Cancel {
    this.#hooks.add(hook);
    return () => this.#hooks.delete(hook);
  }

  get isEmpty(): boolean {
    return this.#output.isEmpty;
  }

  /** The next byte for the controller. */
  take(): number | undefined {
    const byte = this.#output.take();
    this.#releaseAbandoned();
    return byte;
  }

  reset(): void {
    this.quiesce();
    this.#output.reset();
    this.#pending = 0;
    this.#held.clear();
    this.#abandoned.clear();
    this.#setLeds(0);
    this.#setDefaults();
    this.#setScanning(true);
  }

  /** Stops key repeat. */
  quiesce(): void {
    this.#cancelRepeat();
    this.#repeating = null;
  }

  resume(): void {
    this.#releaseAbandoned();
  }

  key(code: number, down: boolean): boolean {
    if (!SCAN_CODES.has(code) || !this.#scanning || this.#held.has(code) === down) return true;
    const bytes = this.#codesOf(code, down);
    if (bytes.length > this.#output.room) return false;
    if (down) this.#held.add(code);
    else this.#held.delete(code);
    this.#abandoned.delete(code);
    this.#output.input(bytes);
    if (down && this.#typeOf(code) & REPEATS) this.#repeat(code, this.#delay);
    else if (down || code === this.#repeating) this.quiesce();
    return true;
  }

  /** A byte from the controller. */
  receive(byte: number): void {
    const command = this.#pending;
    this.#pending = 0;
    // A byte with bit 7 set is a command, even if a parameter was expected.
    if (command !== 0 && byte < 0x80) this.#parameter(command, byte);
    else this.#command(byte);
  }

  #command(byte: number): void {
    const output = this.#output;
    switch (byte) {
      case COMMAND.echo:
        output.reply(COMMAND.echo);
        break;
      case COMMAND.resend:
        output.resend();
        break;
      case COMMAND.identify:
        output.reply(REPLY.ack, ...ID);
        break;
      case COMMAND.reset:
        this.reset();
        output.reply(REPLY.ack, REPLY.selfTestPassed);
        break;
      case COMMAND.setLeds:
      case COMMAND.scanCodeSet:
      case COMMAND.setTypematic:
      case COMMAND.keyTypematic:
      case COMMAND.keyMakeBreak:
      case COMMAND.keyMake:
        this.#pending = byte;
        output.reply(REPLY.ack);
        break;
      case COMMAND.enable:
        output.dropInput();
        this.#setScanning(true);
        output.reply(REPLY.ack);
        break;
      case COMMAND.disable:
      case COMMAND.setDefaults:
        output.dropInput();
        this.#setDefaults();
        this.#setScanning(byte === COMMAND.setDefaults);
        output.reply(REPLY.ack);
        break;
      case COMMAND.allTypematic:
      case COMMAND.allMakeBreak:
      case COMMAND.allMake:
      case COMMAND.allTypematicMakeBreak:
        this.#types.fill(typeOfCommand(byte));
        output.reply(REPLY.ack);
        break;
      default:
        output.reply(REPLY.resend);
        break;
    }
  }

  #parameter(command: number, value: number): void {
    switch (command) {
      case COMMAND.setLeds:
        this.#setLeds(value & LED_BITS);
        break;
      case COMMAND.setTypematic:
        this.#typematic = value & TYPEMATIC_BITS;
        break;
      case COMMAND.scanCodeSet:
        if (value === 0) {
          this.#output.reply(REPLY.ack, this.#set);
          return;
        }
        if (value > 3) {
          this.#output.reply(REPLY.resend);
          return;
        }
        this.#output.dropInput();
        this.#set = value as 1 | 2 | 3;
        break;
      default:
        this.#types[value] = typeOfCommand(command);
        // Any number of keys may follow.
        this.#pending = command;
    }
    this.#output.reply(REPLY.ack);
  }

  #setDefaults(): void {
    this.quiesce();
    this.#set = 2;
    this.#typematic = DEFAULT_TYPEMATIC;
    this.#types = defaultTypes();
  }

  #setLeds(leds: number): void {
    if (leds === this.#leds) return;
    this.#leds = leds;
    for (const hook of this.#hooks) hook();
  }

  #setScanning(on: boolean): void {
    if (on === this.#scanning) return;
    this.#scanning = on;
    if (!on) for (const keys of [this.#held, this.#abandoned]) keys.clear();
    for (const hook of this.#hooks) hook();
  }

  #releaseAbandoned(): void {
    for (const key of this.#abandoned) if (!this.key(key, false)) return;
  }

  #typeOf(key: number): number {
    return this.#set === 3 ? this.#types[SCAN_CODES.get(key)![1]]! : REPEATS | BREAKS;
  }

  #codesOf(key: number, down: boolean): number[] {
    if (!down && !(this.#typeOf(key) & BREAKS)) return [];
    const held = (...keys: number[]) => keys.some(each => this.#held.has(each));
    return scanCodes(this.#set, key, down, {
      alt: held(KEY.leftalt, KEY.rightalt),
      ctrl: held(KEY.leftctrl, KEY.rightctrl),
      shift: held(KEY.leftshift, KEY.rightshift),
    });
  }

  #repeat(key: number, after: bigint): void {
    this.#cancelRepeat();
    this.#repeating = key;
    this.#cancelRepeat = this.#clock.at(this.#clock.now() + after, () => {
      // Repeats wait for a guest that does not keep up.
      if (!this.#output.hasInput && key !== KEY.pause) this.#output.input(this.#codesOf(key, true));
      this.#repeat(key, this.#period);
    });
  }

  get #delay(): bigint {
    return BigInt((this.#typematic >> 5) + 1) * 250n * MS;
  }

  get #period(): bigint {
    const mantissa = 8 + (this.#typematic & 0x07);
    const exponent = (this.#typematic >> 3) & 0x03;
    return BigInt(mantissa * 2 ** exponent * 4_170_000);
  }

  save(): DeviceState {
    return {
      output: this.#output.save(),
      pending: this.#pending,
      leds: this.#leds,
      set: this.#set,
      typematic: this.#typematic,
      scanning: this.#scanning,
      types: this.#types.slice(),
      held: [...this.#held].sort((a, b) => a - b),
    };
  }

  /** @throws DeviceStateError */
  load(state: DeviceState): void {
    this.quiesce();
    const types = bytesOf(state, 'types');
    if (types.length !== 256 || types.some(each => each > (REPEATS | BREAKS)))
      throw new DeviceStateError('types', 'list of 256 key types');
    const set = numberOf(state, 'set', 3);
    if (set !== 1 && set !== 2 && set !== 3) throw new DeviceStateError('set', 'scan code set');
    const held = heldOf(state);
    this.#output.load(stateOf(state, 'output'));
    this.#pending = numberOf(state, 'pending', 0xff);
    this.#typematic = numberOf(state, 'typematic', TYPEMATIC_BITS);
    this.#types = types.slice();
    this.#set = set;
    for (const keys of [this.#held, this.#abandoned]) keys.clear();
    this.#setLeds(numberOf(state, 'leds', LED_BITS));
    this.#setScanning(booleanOf(state, 'scanning'));
    for (const key of held) {
      this.#held.add(key);
      this.#abandoned.add(key);
    }
  }
}

function heldOf(state: DeviceState): number[] {
  // Copied: a list may have holes, which `every` would skip.
  const held: readonly unknown[] = Array.isArray(state.held) ? [...state.held] : [null];
  const known = (each: unknown): each is number => typeof each === 'number' && SCAN_CODES.has(each);
  if (held.length <= SCAN_CODES.size && held.every(known)) return [...held];
  throw new DeviceStateError('held', 'list of keys');
}

function typeOfCommand(command: number): number {
  switch (command) {
    case COMMAND.allTypematic:
    case COMMAND.keyTypematic:
      return REPEATS;
    case COMMAND.allMakeBreak:
    case COMMAND.keyMakeBreak:
      return BREAKS;
    case COMMAND.allTypematicMakeBreak:
      return REPEATS | BREAKS;
    default:
      return 0;
  }
}

function defaultTypes(): Uint8Array {
  const types = new Uint8Array(256);
  for (const [key, [, code]] of SCAN_CODES) {
    if (code !== 0)
      types[code] = DEFAULT_BREAKS.includes(key)
        ? BREAKS
        : DEFAULT_REPEATS(key) && !MODIFIERS.has(key)
          ? REPEATS
          : 0;
  }
  return types;
}
