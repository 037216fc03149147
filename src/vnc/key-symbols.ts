import { KEY } from '../devices/input/key-codes.ts';
import type { LayoutName } from '../devices/input/layout-names.ts';
import { SCAN_CODES, scanCodes } from '../devices/input/scan-codes.ts';
import { chordsOf } from '../screen/keyboard/key-strokes.ts';

/** Keys without a character, by keysym (X11's keysymdef.h). */
const SYMBOLS: Readonly<Record<number, number>> = {
  65032: KEY.tab,
  65056: KEY.tab,
  65288: KEY.backspace,
  65289: KEY.tab,
  65293: KEY.enter,
  65299: KEY.pause,
  65300: KEY.scrolllock,
  65301: KEY.sysrq,
  65307: KEY.esc,
  65360: KEY.home,
  65361: KEY.left,
  65362: KEY.up,
  65363: KEY.right,
  65364: KEY.down,
  65365: KEY.pageup,
  65366: KEY.pagedown,
  65367: KEY.end,
  65377: KEY.sysrq,
  65379: KEY.insert,
  65383: KEY.compose,
  65387: KEY.pause,
  65407: KEY.numlock,
  65421: KEY.kpenter,
  65429: KEY.kp7,
  65430: KEY.kp4,
  65431: KEY.kp8,
  65432: KEY.kp6,
  65433: KEY.kp2,
  65434: KEY.kp9,
  65435: KEY.kp3,
  65436: KEY.kp1,
  65437: KEY.kp5,
  65438: KEY.kp0,
  65439: KEY.kpdot,
  65450: KEY.kpasterisk,
  65451: KEY.kpplus,
  65452: KEY.kpcomma,
  65453: KEY.kpminus,
  65454: KEY.kpdot,
  65455: KEY.kpslash,
  65456: KEY.kp0,
  65457: KEY.kp1,
  65458: KEY.kp2,
  65459: KEY.kp3,
  65460: KEY.kp4,
  65461: KEY.kp5,
  65462: KEY.kp6,
  65463: KEY.kp7,
  65464: KEY.kp8,
  65465: KEY.kp9,
  65470: KEY.f1,
  65471: KEY.f2,
  65472: KEY.f3,
  65473: KEY.f4,
  65474: KEY.f5,
  65475: KEY.f6,
  65476: KEY.f7,
  65477: KEY.f8,
  65478: KEY.f9,
  65479: KEY.f10,
  65480: KEY.f11,
  65481: KEY.f12,
  65505: KEY.leftshift,
  65506: KEY.rightshift,
  65507: KEY.leftctrl,
  65508: KEY.rightctrl,
  65509: KEY.capslock,
  65511: KEY.leftmeta,
  65512: KEY.rightmeta,
  65513: KEY.leftalt,
  65514: KEY.rightalt,
  65515: KEY.leftmeta,
  65516: KEY.rightmeta,
  65027: KEY.rightalt,
  65535: KEY.delete,
};
/** Keysyms of Unicode characters have this bit; those of Latin-1 equal the characters. */
const UNICODE = 0x0100_0000;
const EURO = 0x20ac;

/** The key that has a keysym in a layout; the client presses its shift keys. Null if there is none. */
export function keyOfSymbol(symbol: number, layout: LayoutName): number | null {
  const key = SYMBOLS[symbol];
  if (key !== undefined) return key;
  const code = symbol > UNICODE ? symbol - UNICODE : symbol;
  if ((code > 0xff && symbol < UNICODE && code !== EURO) || code > 0x10_ffff || code < 0x20) return null;
  return chordsOf(layout, String.fromCodePoint(code))?.[0]?.at(-1) ?? null;
}

const NONE = { alt: false, ctrl: false, shift: false };
/** By scancode of set 1; those with the prefix 0xe0 have bit 7 set, as in QEMU's extended key event. */
const SCAN_CODE_KEYS: ReadonlyMap<number, number> = new Map(
  [...SCAN_CODES.keys()].flatMap(key => {
    const codes = scanCodes(1, key, true, NONE);
    if (key === KEY.sysrq) return [[0xb7, key] as const];
    if (key === KEY.pause) return [[0xc6, key] as const];
    if (codes.length === 0) return [];
    return [[codes.length === 1 ? codes[0]! : codes[1]! | 0x80, key] as const];
  }),
);

/** The key of a set 1 scancode, as in QEMU's extended key event; null if there is none. */
export function keyOfScanCode(code: number): number | null {
  const key = (code & 0xff00) === 0xe000 ? (code & 0xff) | 0x80 : code;
  return SCAN_CODE_KEYS.get(key) ?? null;
}
