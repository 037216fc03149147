import { describe, expect, it } from 'vitest';
import { KEY } from '../../../src/devices/input/key-codes.ts';
import { Ps2Keyboard } from '../../../src/devices/input/ps2-keyboard.ts';
import { SCAN_CODES, scanCodes, translate } from '../../../src/devices/input/scan-codes.ts';
import { DeviceClock } from '../../support/device-clock.ts';

const ACK = 0xfa;
const NONE = { alt: false, ctrl: false, shift: false };

function rig() {
  const clock = new DeviceClock();
  const keyboard = new Ps2Keyboard({ clock, sent: () => {} });
  const sent = () => {
    const bytes: number[] = [];
    while (!keyboard.isEmpty) bytes.push(keyboard.take()!);
    return bytes;
  };
  return {
    clock,
    keyboard,
    sent,
    ask: (...bytes: number[]) => {
      for (const byte of bytes) keyboard.receive(byte);
      return sent();
    },
  };
}

describe('a PS/2 keyboard', () => {
  it('answers each of its commands', () => {
    const { keyboard, ask } = rig();
    expect(ask(0xff)).toEqual([ACK, 0xaa]);
    expect(ask(0xf2)).toEqual([ACK, 0xab, 0x83]);
    expect(ask(0xee)).toEqual([0xee]);
    expect(ask(0xfe)).toEqual([0xee]);
    expect([ask(0xed), ask(0x02)]).toEqual([[ACK], [ACK]]);
    expect(keyboard.leds).toEqual({ scrollLock: false, numLock: true, capsLock: false });
    expect([ask(0xf0), ask(0x00)]).toEqual([[ACK], [ACK, 2]]);
    expect([ask(0xf0), ask(0x03), ask(0xf0), ask(0x00)]).toEqual([[ACK], [ACK], [ACK], [ACK, 3]]);
    expect([ask(0xf0), ask(0x04)]).toEqual([[ACK], [0xfe]]);
    expect([ask(0xf3), ask(0x7f)]).toEqual([[ACK], [ACK]]);
    for (const command of [0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa]) expect(ask(command)).toEqual([ACK]);
    expect([ask(0xfb), ask(0x1c), ask(0x1b)]).toEqual([[ACK], [ACK], [ACK]]);
    expect(ask(0x10)).toEqual([ACK]);
    expect(ask(0xf4)).toEqual([ACK]);
    expect(ask(0x10)).toEqual([0xfe]);
  });

  it('sends no keys while it is disabled', () => {
    const { keyboard, ask, sent } = rig();
    ask(0xf5);
    keyboard.key(KEY.a, true);
    expect([keyboard.active, sent()]).toEqual([false, []]);
    ask(0xf4);
    keyboard.key(KEY.a, true);
    expect(sent()).toEqual([0x1c]);
  });

  it('repeats the last key pressed, at the rate that was set', () => {
    const { keyboard, ask, sent, clock } = rig();
    keyboard.key(KEY.a, true);
    keyboard.key(KEY.b, true);
    expect(sent()).toEqual([0x1c, 0x32]);
    clock.advance(499);
    expect(sent()).toEqual([]);
    clock.advance(1);
    expect(sent()).toEqual([0x32]);
    // A guest that does not read gets one repeat, not all of them.
    clock.advance(1000);
    expect(sent()).toEqual([0x32]);
    keyboard.key(KEY.b, false);
    sent();
    clock.advance(2000);
    expect(sent()).toEqual([]);
    ask(0xf3, 0x00);
    keyboard.key(KEY.c, true);
    sent();
    let repeats = 0;
    for (let ms = 0; ms < 1250; ms++) {
      clock.advance(1);
      repeats += sent().length;
    }
    expect(repeats).toBe(30);
  });

  it('ignores a key that is pressed again, and one that it does not have', () => {
    const { keyboard, sent } = rig();
    expect(keyboard.key(0x2ff, true)).toBe(true);
    for (let i = 0; i < 3; i++) keyboard.key(KEY.a, true);
    for (let i = 0; i < 3; i++) keyboard.key(KEY.a, false);
    expect(sent()).toEqual([0x1c, 0xf0, 0x1c]);
  });

  it('refuses keys that exceed its buffer, never part of a key', () => {
    const { keyboard, sent } = rig();
    let typed = 0;
    while (keyboard.key(KEY.a, typed % 2 === 0)) typed++;
    expect(sent()).toHaveLength(Math.floor(typed / 2) * 3 + (typed % 2));
    expect(keyboard.key(KEY.a, typed % 2 === 0)).toBe(true);
  });

  it('applies the repeat and release settings of keys in scan code set 3', () => {
    const { keyboard, ask, sent, clock } = rig();
    ask(0xf0, 0x03);
    const strike = (key: number) => {
      keyboard.key(key, true);
      clock.advance(600);
      keyboard.key(key, false);
      return sent();
    };
    expect(strike(KEY.leftshift)).toEqual([0x12, 0xf0, 0x12]);
    expect(strike(KEY.f1)).toEqual([0x07]);
    ask(0xf8);
    expect(strike(KEY.a)).toEqual([0x1c, 0xf0, 0x1c]);
    ask(0xfd, 0x1c);
    expect(strike(KEY.a)).toEqual([0x1c]);
  });

  it('releases keys that were held when its state was saved', () => {
    const one = rig();
    one.keyboard.key(KEY.leftctrl, true);
    one.sent();
    const other = rig();
    other.keyboard.load(one.keyboard.save());
    expect(other.keyboard.save()).toEqual(one.keyboard.save());
    other.keyboard.resume();
    expect(other.sent()).toEqual([0xf0, 0x14]);
  });

  it('releases them once its buffer has room', () => {
    const one = rig();
    one.keyboard.key(KEY.leftctrl, true);
    let count = 0;
    while (one.keyboard.key(KEY.a, count % 2 === 0)) count++;
    const other = rig();
    other.keyboard.load(one.keyboard.save());
    other.keyboard.resume();
    // Its buffer is full, with "a" pressed last.
    expect(other.keyboard.save().held).toEqual([KEY.leftctrl, KEY.a]);
    expect(other.sent().slice(-5)).toEqual([0x1c, 0xf0, 0x14, 0xf0, 0x1c]);
    expect(other.keyboard.save().held).toEqual([]);
  });
});

describe('scan codes', () => {
  it("of set 1 are the controller's translations of set 2", () => {
    for (const key of SCAN_CODES.keys()) {
      for (const down of [true, false]) {
        const set2 = scanCodes(2, key, down, NONE);
        const translated: number[] = [];
        let release = 0;
        for (const byte of set2) {
          if (byte === 0xf0) release = 0x80;
          else {
            translated.push(translate(byte) | release);
            release = 0;
          }
        }
        expect(scanCodes(1, key, down, NONE)).toEqual(translated);
      }
    }
  });

  it('are those of the AT keyboard in set 1, by key code of linux/input-event-codes.h', () => {
    // KEY_ESC (1) to KEY_KPDOT (83) have the numbers of their codes.
    for (let key = 1; key <= 83; key++) expect(scanCodes(1, key, true, NONE)).toEqual([key]);
    expect(scanCodes(1, KEY.f11, true, NONE)).toEqual([0x57]);
    expect(scanCodes(1, KEY.f12, true, NONE)).toEqual([0x58]);
    expect(scanCodes(1, KEY['102nd'], true, NONE)).toEqual([0x56]);
    expect(scanCodes(1, KEY.leftmeta, true, NONE)).toEqual([0xe0, 0x5b]);
    expect(scanCodes(1, KEY.yen, true, NONE)).toEqual([0x7d]);
    expect(scanCodes(1, KEY.pause, true, { ...NONE, ctrl: true })).toEqual([0xe0, 0x46, 0xe0, 0xc6]);
    expect(scanCodes(1, KEY.sysrq, true, { ...NONE, alt: true })).toEqual([0x54]);
  });

  it('are unique in each set', () => {
    for (const set of [1, 2, 3] as const) {
      const codes = [...SCAN_CODES.keys()]
        .map(key => scanCodes(set, key, true, NONE).join(' '))
        .filter(Boolean);
      expect(new Set(codes).size).toBe(codes.length);
    }
  });
});
