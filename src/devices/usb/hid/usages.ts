import { KEY } from '../../input/key-codes.ts';

/** The first of eight modifier usages, each of which is a bit of a report's first byte. */
export const FIRST_MODIFIER = 0xe0;
/** More keys are held than fit in a report. */
export const ROLL_OVER = 0x01;

/** Runs of keys, with the usage of the first one on the keyboard page (HID Usage Tables 1.12 §10). */
const RUNS: readonly (readonly [number, readonly (keyof typeof KEY)[]])[] = [
  [0x04, [...'abcdefghijklmnopqrstuvwxyz1234567890'] as (keyof typeof KEY)[]],
  [0x28, ['enter', 'esc', 'backspace', 'tab', 'space', 'minus', 'equal', 'leftbrace', 'rightbrace']],
  [0x31, ['backslash']],
  [0x33, ['semicolon', 'apostrophe', 'grave', 'comma', 'dot', 'slash', 'capslock']],
  [0x3a, ['f1', 'f2', 'f3', 'f4', 'f5', 'f6', 'f7', 'f8', 'f9', 'f10', 'f11', 'f12']],
  [0x46, ['sysrq', 'scrolllock', 'pause', 'insert', 'home', 'pageup', 'delete', 'end', 'pagedown']],
  [0x4f, ['right', 'left', 'down', 'up', 'numlock', 'kpslash', 'kpasterisk', 'kpminus', 'kpplus', 'kpenter']],
  [0x59, ['kp1', 'kp2', 'kp3', 'kp4', 'kp5', 'kp6', 'kp7', 'kp8', 'kp9', 'kp0', 'kpdot', '102nd', 'compose']],
  [0x66, ['power']],
  [0x7f, ['mute', 'volumeup', 'volumedown']],
  [0x85, ['kpcomma']],
  [0x87, ['ro', 'katakanahiragana', 'yen', 'henkan', 'muhenkan']],
  [
    FIRST_MODIFIER,
    [
      ...(['leftctrl', 'leftshift', 'leftalt', 'leftmeta'] as const),
      ...(['rightctrl', 'rightshift', 'rightalt', 'rightmeta'] as const),
    ],
  ],
];

/** Usages, by key code. */
export const USAGES: ReadonlyMap<number, number> = new Map(
  RUNS.flatMap(([first, names]) => names.map((name, at) => [KEY[name], first + at] as const)),
);
