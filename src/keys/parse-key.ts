/** One key press, parsed from the start of the terminal's input. */
export type ParsedKey = {
  /**
   * A character as typed (`j`, `G`, `é`), or a name: `enter`, `esc`, `tab`, `up`, `pageup`, `f5`, with `ctrl+`, `alt+`
   * and `shift+` in this order before it if they were held. Empty for an unknown sequence; `paste` for a bracketed
   * paste, with its text.
   */
  readonly name: string;
  readonly text?: string;
  /** Bytes consumed. */
  readonly length: number;
};

const ESC = 0x1b;
/** A longer control sequence is invalid. */
const MAX_SEQUENCE = 32;

/** Final byte of `ESC [` and `ESC O` sequences: xterm control sequences, "PC-style function keys". */
const LETTERS: Readonly<Record<string, string>> = {
  A: 'up',
  B: 'down',
  C: 'right',
  D: 'left',
  F: 'end',
  H: 'home',
  M: 'enter',
  P: 'f1',
  Q: 'f2',
  R: 'f3',
  S: 'f4',
};

/** Number of `ESC [ number ~` sequences. */
const NUMBERS: Readonly<Record<number, string>> = {
  1: 'home',
  2: 'insert',
  3: 'delete',
  4: 'end',
  5: 'pageup',
  6: 'pagedown',
  7: 'home',
  8: 'end',
  11: 'f1',
  12: 'f2',
  13: 'f3',
  14: 'f4',
  15: 'f5',
  17: 'f6',
  18: 'f7',
  19: 'f8',
  20: 'f9',
  21: 'f10',
  23: 'f11',
  24: 'f12',
};

/**
 * The first key in `bytes`; null if it is incomplete, or there is none.
 * @param complete no more input follows: an ESC at the end is the Esc key
 */
export function parseKey(bytes: Uint8Array, complete = false): ParsedKey | null {
  const first = bytes[0];
  if (first === undefined) return null;
  if (first === ESC) return parseEscape(bytes, complete);
  if (first < 0x20 || first === 0x7f) return { name: controlName(first), length: 1 };
  if (first === 0x20) return { name: 'space', length: 1 };
  if (first < 0x7f) return { name: String.fromCharCode(first), length: 1 };
  return parseUtf8(bytes, complete);
}

function controlName(byte: number): string {
  switch (byte) {
    case 0x00:
      return 'ctrl+space';
    case 0x08:
    case 0x7f:
      return 'backspace';
    case 0x09:
      return 'tab';
    case 0x0a:
    case 0x0d:
      return 'enter';
    default:
      return `ctrl+${String.fromCharCode(byte + 0x40).toLowerCase()}`;
  }
}

function parseUtf8(bytes: Uint8Array, complete: boolean): ParsedKey | null {
  const first = bytes[0]!;
  if (first < 0xc2 || first > 0xf4) return { name: '', length: 1 };
  const length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (bytes.length < length && !complete) return null;
  try {
    return { name: new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(0, length)), length };
  } catch {
    return { name: '', length: 1 };
  }
}

/** ESC before anything but a control sequence is the Esc key: a quick `Esc j` is not Alt-j. */
function parseEscape(bytes: Uint8Array, complete: boolean): ParsedKey | null {
  const introducer = bytes[1] === undefined ? '' : String.fromCharCode(bytes[1]);
  const esc: ParsedKey = { name: 'esc', length: 1 };
  if (introducer === '' || bytes.length === 2) {
    const undecided = ['', '[', 'O', ']', '_'].includes(introducer);
    return undecided && !complete ? null : esc;
  }
  const reply = parseReply(bytes, complete);
  if (reply !== undefined) return reply;
  if (introducer === 'O') return { name: LETTERS[String.fromCharCode(bytes[2]!)] ?? '', length: 3 };
  if (introducer !== '[') return esc;
  return parseControlSequence(bytes) ?? (complete ? esc : null);
}

/** A longer reply is invalid. */
const MAX_REPLY = 1024;
/** OSC, DCS and APC strings (ECMA-48 §5.6), such as the color or the version of the terminal, up to BEL or ST. */
const REPLY = /^\x1b[\]P_][\x20-\x7e\x80-\xff]*(?:\x07|\x1b\\)/;
/** The start of a reply: the byte after the introducer distinguishes it from the Esc key followed by another key. */
const REPLY_START = /^\x1b(?:\]\d|P[\d>!$+|]|_G)[\x20-\x7e\x80-\xff]*\x1b?$/;

/** A terminal's report about itself, which is not a key; undefined for anything else. */
function parseReply(bytes: Uint8Array, complete: boolean): ParsedKey | null | undefined {
  const text = Buffer.from(bytes.subarray(0, MAX_REPLY)).toString('latin1');
  const [reply] = REPLY.exec(text) ?? [];
  if (reply !== undefined) return { name: '', length: reply.length };
  return !complete && text.length < MAX_REPLY && REPLY_START.test(text) ? null : undefined;
}

function parseControlSequence(bytes: Uint8Array): ParsedKey | null {
  const final = bytes.findIndex((byte, index) => index >= 2 && byte >= 0x40 && byte <= 0x7e);
  if (final < 0) return bytes.length > MAX_SEQUENCE ? { name: 'esc', length: 1 } : null;
  const sequence = String.fromCharCode(...bytes.subarray(0, Math.min(final + 1, MAX_SEQUENCE)));
  const length = final + 1;
  const letter = sequence.at(-1)!;
  const [number = 1, modifiers = 1] = sequence.slice(2, -1).split(';').map(Number);
  if (letter === 'Z') return { name: 'shift+tab', length };
  const name = letter === '~' ? NUMBERS[number] : LETTERS[letter];
  return { name: name === undefined ? '' : modifierNames(modifiers) + name, length };
}

/** @param parameter one more than the sum of 1 for Shift, 2 for Alt, 4 for Ctrl */
function modifierNames(parameter: number): string {
  const bits = parameter - 1;
  return `${bits & 4 ? 'ctrl+' : ''}${bits & 2 ? 'alt+' : ''}${bits & 1 ? 'shift+' : ''}`;
}
