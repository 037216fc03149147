import { type Clock, systemClock } from '../../clock.ts';
import type { InputEvent } from '../../devices/input/input-event.ts';
import { KEY } from '../../devices/input/key-codes.ts';
import type { LayoutName } from '../../devices/input/layout-names.ts';
import { type Chord, chordsOf, struck } from '../keyboard/key-strokes.ts';
import { type TerminalReply, terminalReply } from './terminal-replies.ts';

/** How long to wait for more after an ESC; a single one is the Esc key. */
const ESC_TIMEOUT_MS = 50;
/** A longer terminal sequence is invalid. */
const SEQUENCE_MAX = 4096;

/** Final characters of CSI and SS3 sequences (xterm control sequences, "PC-Style Function Keys"). */
const FINAL_KEYS: Readonly<Record<string, number>> = {
  A: KEY.up,
  B: KEY.down,
  C: KEY.right,
  D: KEY.left,
  E: KEY.kp5,
  F: KEY.end,
  H: KEY.home,
  M: KEY.kpenter,
  P: KEY.f1,
  Q: KEY.f2,
  R: KEY.f3,
  S: KEY.f4,
};

/** Numbers of `CSI n ~`. */
const TILDE_KEYS: Readonly<Record<number, number>> = {
  1: KEY.home,
  2: KEY.insert,
  3: KEY.delete,
  4: KEY.end,
  5: KEY.pageup,
  6: KEY.pagedown,
  7: KEY.home,
  8: KEY.end,
  11: KEY.f1,
  12: KEY.f2,
  13: KEY.f3,
  14: KEY.f4,
  15: KEY.f5,
  17: KEY.f6,
  18: KEY.f7,
  19: KEY.f8,
  20: KEY.f9,
  21: KEY.f10,
  23: KEY.f11,
  24: KEY.f12,
  29: KEY.compose,
};

/** Keys with their own numbers in the kitty keyboard protocol. */
const KITTY_KEYS: Readonly<Record<number, number>> = {
  9: KEY.tab,
  13: KEY.enter,
  27: KEY.esc,
  127: KEY.backspace,
  57358: KEY.capslock,
  57359: KEY.scrolllock,
  57360: KEY.numlock,
  57361: KEY.sysrq,
  57362: KEY.pause,
  57363: KEY.compose,
  57399: KEY.kp0,
  57400: KEY.kp1,
  57401: KEY.kp2,
  57402: KEY.kp3,
  57403: KEY.kp4,
  57404: KEY.kp5,
  57405: KEY.kp6,
  57406: KEY.kp7,
  57407: KEY.kp8,
  57408: KEY.kp9,
  57409: KEY.kpdot,
  57410: KEY.kpslash,
  57411: KEY.kpasterisk,
  57412: KEY.kpminus,
  57413: KEY.kpplus,
  57414: KEY.kpenter,
  57417: KEY.kp4,
  57418: KEY.kp6,
  57419: KEY.kp8,
  57420: KEY.kp2,
  57421: KEY.kp9,
  57422: KEY.kp3,
  57423: KEY.kp7,
  57424: KEY.kp1,
  57425: KEY.kp0,
  57426: KEY.kpdot,
  57427: KEY.kp5,
  57438: KEY.volumedown,
  57439: KEY.volumeup,
  57440: KEY.mute,
  57441: KEY.leftshift,
  57442: KEY.leftctrl,
  57443: KEY.leftalt,
  57444: KEY.leftmeta,
  57447: KEY.rightshift,
  57448: KEY.rightctrl,
  57449: KEY.rightalt,
  57450: KEY.rightmeta,
};

/** Modifier bits: the parameter minus one. */
const MODIFIERS: readonly (readonly [number, number])[] = [
  [1, KEY.leftshift],
  [2, KEY.leftalt],
  [4, KEY.leftctrl],
  [8, KEY.leftmeta],
];
const CTRL = 4;
const RELEASED = 3;

/** Ctrl-] and Ctrl-\, which are not sent to the guest. */
export type OwnKey = 'leave' | 'menu';

export type TerminalKeyEvents = {
  input(events: readonly InputEvent[]): void;
  own(key: OwnKey): void;
  replied?(reply: TerminalReply): void;
  /** Receives characters that the layout cannot type. */
  unknown?(character: string): void;
};

/**
 * Turns a terminal's input into keys of the guest's keyboard. A terminal sends characters, which become the keys of the
 * guest's layout, pressed and released immediately; one with the kitty keyboard protocol reports presses and releases.
 */
export class TerminalKeys {
  readonly #layout: LayoutName;
  readonly #events: TerminalKeyEvents;
  readonly #clock: Clock;
  readonly #decoder = new TextDecoder('utf-8');
  /** The beginning of a sequence. */
  #held = '';
  #cancelTimer: () => void = () => {};
  /** Keys that the terminal has reported as pressed. */
  readonly #pressed = new Set<number>();

  constructor(layout: LayoutName, events: TerminalKeyEvents, clock: Clock = systemClock) {
    this.#layout = layout;
    this.#events = events;
    this.#clock = clock;
  }

  push(bytes: Uint8Array): void {
    this.#cancelTimer();
    let text = this.#held + this.#decoder.decode(bytes, { stream: true });
    this.#held = '';
    while (text !== '') {
      const used = this.#one(text);
      if (used === 0) break;
      text = text.slice(used);
    }
    this.#held = text;
    if (text !== '') this.#cancelTimer = this.#clock.after(ESC_TIMEOUT_MS, () => this.#giveUp());
  }

  /** Releases all pressed keys when the terminal is given up. */
  end(): void {
    this.#cancelTimer();
    this.#held = '';
    this.#releaseAll();
  }

  /** The timeout has passed: it was not a sequence. */
  #giveUp(): void {
    const held = this.#held;
    this.#held = '';
    if (held === '\x1b') this.#strike([KEY.esc]);
    else if (held.length === 2) this.#alt(held.slice(1));
  }

  /** @returns how many characters were consumed; 0 if the input is incomplete */
  #one(text: string): number {
    if (text[0] !== '\x1b') {
      const character = String.fromCodePoint(text.codePointAt(0)!);
      this.#character(character);
      return character.length;
    }
    if (text.length === 1) return 0;
    const sequence = /^\x1b\[([<=>?]?)([\d;:]*)([ -/]*)([@-~])/.exec(text);
    if (sequence !== null) {
      const [all, mark, parameters, , final] = sequence as unknown as [
        string,
        string,
        string,
        string,
        string,
      ];
      const reply = terminalReply(all);
      if (reply !== null) this.#events.replied?.(reply);
      else if (mark === '') this.#csi(parameters, final);
      return all.length;
    }
    const single = /^\x1bO([\d;]*)([A-Za-z])/.exec(text);
    if (single !== null) {
      const key = FINAL_KEYS[single[2]!];
      if (key !== undefined) this.#strike([key]);
      return single[0].length;
    }
    const command = /^\x1b[_P\]^]([^\x07\x1b]*)(?:\x07|\x1b\\)/.exec(text);
    if (command !== null) {
      const reply = terminalReply(command[0]);
      if (reply !== null) this.#events.replied?.(reply);
      return command[0].length;
    }
    // An incomplete sequence.
    if (
      /^\x1b(?:\[[<=>?]?[\d;:]*[ -/]*|O[\d;]*|[_P\]^][^\x07\x1b]*\x1b?)$/.test(text) &&
      text.length < SEQUENCE_MAX
    )
      return 0;
    if (text[1] === '\x1b') {
      this.#strike([KEY.esc]);
      return 1;
    }
    const character = String.fromCodePoint(text.codePointAt(1)!);
    this.#alt(character);
    return 1 + character.length;
  }

  #csi(parameters: string, final: string): void {
    const lists = parameters.split(';').map(each => each.split(':').map(Number));
    const number = lists[0]?.[0] ?? 0;
    const [modifiers = 1, event = 1] = lists[1] ?? [];
    if (final === 'u') this.#kittyKey(lists[0] ?? [], modifiers, event);
    else if (final === 'O' && parameters === '') this.#releaseAll();
    else if (final === 'Z') this.#strike([KEY.leftshift, KEY.tab]);
    else {
      const key = final === '~' ? TILDE_KEYS[number] : FINAL_KEYS[final];
      if (key !== undefined) this.#key(key, modifiers - 1, lists[1]?.[1] === undefined ? null : event);
    }
  }

  /** @param codes the character of the key, with shift, and in the US layout */
  #kittyKey([code = 0, , base]: readonly number[], modifiers: number, event: number): void {
    const held = modifiers - 1;
    const own = held & CTRL ? OWN_CHARACTERS[String.fromCodePoint(base || code)] : undefined;
    if (own !== undefined) {
      if (event !== RELEASED) this.#events.own(own);
      return;
    }
    const known = KITTY_KEYS[code];
    const character = String.fromCodePoint(base || code);
    const chord = known === undefined ? chordsOf('us', character)?.[0] : [known];
    const key = chord?.at(-1);
    if (key !== undefined) this.#key(key, held, event);
    else if (event !== RELEASED) this.#character(String.fromCodePoint(code));
  }

  /** @param event null if the terminal does not report releases */
  #key(key: number, held: number, event: number | null): void {
    if (event === null) {
      this.#strike([...MODIFIERS.flatMap(([bit, modifier]) => (held & bit ? [modifier] : [])), key]);
      return;
    }
    const down = event !== RELEASED;
    if (down) this.#pressed.add(key);
    else this.#pressed.delete(key);
    this.#events.input([{ kind: 'key', code: key, down }]);
  }

  #character(character: string): void {
    const code = character.codePointAt(0)!;
    const own = OWN_CODES[code];
    if (own !== undefined) this.#events.own(own);
    else if (code === 0x0a || (code < 0x20 && !PLAIN_CONTROLS.has(code))) this.#strike(controlChord(code));
    else this.#typed(character, []);
  }

  #alt(character: string): void {
    const code = character.codePointAt(0)!;
    if (code < 0x20 && !PLAIN_CONTROLS.has(code)) this.#strike([KEY.leftalt, ...controlChord(code)]);
    else this.#typed(character, [KEY.leftalt]);
  }

  #typed(character: string, modifiers: Chord): void {
    const chords = chordsOf(this.#layout, character);
    if (chords === null) this.#events.unknown?.(character);
    else for (const chord of chords) this.#strike([...modifiers, ...chord]);
  }

  #strike(chord: Chord): void {
    this.#events.input(struck(chord));
  }

  #releaseAll(): void {
    const events = [...this.#pressed].map(code => ({ kind: 'key', code, down: false }) as const);
    this.#pressed.clear();
    if (events.length > 0) this.#events.input(events);
  }
}

const OWN_CODES: Readonly<Record<number, OwnKey>> = { 29: 'leave', 28: 'menu' };
const OWN_CHARACTERS: Readonly<Record<string, OwnKey>> = { ']': 'leave', '\\': 'menu' };
/** Tab, Enter and Esc are separate keys. */
const PLAIN_CONTROLS: ReadonlySet<number> = new Set([0x09, 0x0d, 0x1b]);

/** The key that makes a control character with Ctrl. */
function controlChord(code: number): Chord {
  if (code === 0) return [KEY.leftctrl, KEY.space];
  if (code <= 26) {
    const letter = chordsOf('us', String.fromCodePoint(0x60 + code))![0]!;
    return [KEY.leftctrl, ...letter];
  }
  return [KEY.leftctrl, code === 0x1e ? KEY['6'] : KEY.minus];
}
