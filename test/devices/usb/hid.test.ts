import { describe, expect, test } from 'vitest';
import { BUTTON } from '../../../src/devices/input/input-event.ts';
import { KEY } from '../../../src/devices/input/key-codes.ts';
import { CODE } from '../../../src/devices/usb/xhci/trb.ts';
import { DATA, KEYBOARD_ENDPOINT, XhciRig } from '../../support/xhci-rig.ts';

type HidType = 'usb-kbd' | 'usb-mouse' | 'usb-tablet';

/** A device that its driver uses. */
function used(type: HidType) {
  const rig = new XhciRig().start();
  const built = rig.plug(type);
  const slot = rig.address();
  rig.configure(slot, [KEYBOARD_ENDPOINT]);
  /** Takes the report that there is; null: none has come. */
  const report = (length = 8): number[] | null => {
    rig.begin(slot, 3, length);
    const [event] = rig.events();
    if (event === undefined) {
      rig.command(14 + 1, { control: (slot << 24) | (3 << 16) });
      const ring = rig.ring(slot, 3);
      rig.command(16, { low: ring.next | ring.cycle, control: (slot << 24) | (3 << 16) });
      return null;
    }
    return [...rig.memory.readable(DATA, length - event.length)];
  };
  return { rig, built, slot, report };
}

const CLASS_IN = 0xa1;
const CLASS_OUT = 0x21;

describe('a keyboard', () => {
  const keyboard = () => {
    const { built, ...rest } = used('usb-kbd');
    return { ...rest, built, keys: built.capabilities!.keyboard! };
  };

  test('identifies itself', () => {
    const { rig, slot } = keyboard();
    const configuration = rig.control(slot, {
      type: 0x80,
      request: 6,
      value: 0x200,
      length: 255,
    }) as Uint8Array;
    expect([...configuration]).toEqual([
      ...[9, 2, 34, 0, 1, 1, 0, 0x80, 50],
      ...[9, 4, 0, 0, 1, 3, 1, 1, 0],
      ...[9, 0x21, 0x11, 1, 0, 1, 0x22, 64, 0],
      ...[7, 5, 0x81, 3, 8, 0, 10],
    ]);
    const descriptor = rig.control(slot, {
      type: 0x81,
      request: 6,
      value: 0x2200,
      length: 255,
    }) as Uint8Array;
    // HID 1.11 appendix E.6, but for the order of some items.
    expect(descriptor.length).toBe(64);
    expect([...descriptor.subarray(0, 8)]).toEqual([5, 1, 9, 6, 0xa1, 1, 5, 7]);
    expect(descriptor.at(-1)).toBe(0xc0);
    const product = rig.control(slot, { type: 0x80, request: 6, value: 0x302, index: 0x409, length: 255 });
    expect(Buffer.from((product as Uint8Array).subarray(2)).toString('utf16le')).toBe('USB keyboard');
  });

  test('reports each key that is pressed and released, modifiers as bits', () => {
    const { keys, report } = keyboard();
    for (const [code, down] of [
      [KEY.leftshift, true],
      [KEY.a, true],
      [KEY.a, true],
      [KEY.a, false],
      [KEY.leftshift, false],
    ] as const)
      expect(keys.key(code, down)).toBe(true);
    expect(report()).toEqual([2, 0, 0, 0, 0, 0, 0, 0]);
    expect(report()).toEqual([2, 0, 4, 0, 0, 0, 0, 0]);
    expect(report()).toEqual([2, 0, 0, 0, 0, 0, 0, 0]);
    expect(report()).toEqual([0, 0, 0, 0, 0, 0, 0, 0]);
    expect(report()).toBeNull();
  });

  test('reports a rollover error when too many keys are held', () => {
    const { keys, report } = keyboard();
    for (const key of [KEY.a, KEY.b, KEY.c, KEY.d, KEY.e, KEY.f, KEY.g]) keys.key(key, true);
    let last: number[] | null = null;
    for (let count = 0; count < 6; count++) last = report();
    expect(last).toEqual([0, 0, 4, 5, 6, 7, 8, 9]);
    expect(report()).toEqual([0, 0, 1, 1, 1, 1, 1, 1]);
  });

  test('refuses keys that exceed its buffer', () => {
    const { keys, report } = keyboard();
    const press = (count: number) => keys.key(KEY.a, count % 2 === 0);
    let taken = 0;
    while (press(taken)) taken++;
    expect(taken).toBe(32);
    report();
    expect(press(taken)).toBe(true);
  });

  test('is in use once it is configured, and knows its LEDs', () => {
    const rig = new XhciRig().start();
    const built = rig.plug('usb-kbd');
    const keys = built.capabilities!.keyboard!;
    const slot = rig.address();
    expect(keys.active).toBe(false);
    rig.configure(slot, [KEYBOARD_ENDPOINT]);
    expect(keys.active).toBe(true);
    let changes = 0;
    keys.onChanged(() => changes++);
    rig.control(slot, { type: CLASS_OUT, request: 9, value: 0x200, data: [3] });
    expect(keys.leds).toEqual({ numLock: true, capsLock: true, scrollLock: false });
    expect(built.facts).toEqual([{ label: 'lit LEDs', value: 'Num Lock, Caps Lock' }]);
    rig.resetPort();
    expect([keys.active, keys.leds.numLock, changes]).toEqual([false, false, 3]);
  });

  test('repeats its report at the idle rate', () => {
    const { rig, slot, keys, report } = keyboard();
    rig.control(slot, { type: CLASS_OUT, request: 10, value: 10 << 8 });
    expect(rig.control(slot, { type: CLASS_IN, request: 2, length: 1 })).toEqual(Uint8Array.of(10));
    keys.key(KEY.b, true);
    expect(report()).toEqual([0, 0, 5, 0, 0, 0, 0, 0]);
    rig.begin(slot, 3, 8);
    rig.machine.clock.advance(39);
    expect(rig.events()).toEqual([]);
    rig.machine.clock.advance(2);
    expect(rig.events()).toMatchObject([{ code: CODE.success, dci: 3 }]);
    expect([...rig.memory.readable(DATA, 8)]).toEqual([0, 0, 5, 0, 0, 0, 0, 0]);
  });

  test('has a boot protocol, and answers class requests', () => {
    const { rig, slot, keys } = keyboard();
    expect(rig.control(slot, { type: CLASS_IN, request: 3, length: 1 })).toEqual(Uint8Array.of(1));
    rig.control(slot, { type: CLASS_OUT, request: 11, value: 0 });
    expect(rig.control(slot, { type: CLASS_IN, request: 3, length: 1 })).toEqual(Uint8Array.of(0));
    keys.key(KEY.z, true);
    expect(rig.control(slot, { type: CLASS_IN, request: 1, value: 0x100, length: 8 })).toEqual(
      Uint8Array.of(0, 0, 0x1d, 0, 0, 0, 0, 0),
    );
    for (const request of [4, 9, 12])
      expect(rig.control(slot, { type: CLASS_IN, request, length: 1 })).toBe(CODE.stall);
    expect(rig.control(slot, { type: CLASS_OUT, request: 11, value: 2 })).toBe(CODE.stall);
  });

  test('releases keys that were held in a saved machine', () => {
    const { built, keys } = keyboard();
    keys.key(KEY.leftalt, true);
    keys.key(KEY.f4, true);
    const other = used('usb-kbd');
    other.built.device.load(structuredClone(built.device.save()));
    other.built.device.resume!();
    const reports = Array.from({ length: 4 }, () => other.report());
    expect(reports).toEqual([
      [4, 0, 0, 0, 0, 0, 0, 0],
      [4, 0, 0x3d, 0, 0, 0, 0, 0],
      [0, 0, 0x3d, 0, 0, 0, 0, 0],
      [0, 0, 0, 0, 0, 0, 0, 0],
    ]);
  });

  test('releases held keys as its buffer has room', () => {
    const { built, keys } = keyboard();
    for (let count = 0; count < 30; count++) keys.key(KEY.a, count % 2 === 0);
    keys.key(KEY.leftalt, true);
    keys.key(KEY.f4, true);
    expect(keys.key(KEY.b, true)).toBe(false);
    const one = used('usb-kbd');
    one.built.device.load(structuredClone(built.device.save()));
    one.built.device.resume!();
    // It may be saved again, before the guest has taken any.
    const other = used('usb-kbd');
    other.built.device.load(structuredClone(one.built.device.save()));
    other.built.device.resume!();
    const reports = Array.from({ length: 35 }, () => other.report());
    expect(reports.slice(31)).toEqual([
      [4, 0, 0x3d, 0, 0, 0, 0, 0],
      [0, 0, 0x3d, 0, 0, 0, 0, 0],
      [0, 0, 0, 0, 0, 0, 0, 0],
      null,
    ]);
  });
});

describe('a mouse', () => {
  const mouse = () => {
    const { built, report } = used('usb-mouse');
    return { pointer: built.capabilities!.pointer!, report };
  };

  test('reports motion in steps, and the wheel away from the user', () => {
    const { pointer, report } = mouse();
    expect(pointer.absolute).toBe(false);
    pointer.point({ kind: 'motion', dx: 200, dy: -3 });
    pointer.point({ kind: 'motion', dx: 1, dy: 0 });
    pointer.point({ kind: 'wheel', dy: 1 });
    pointer.point({ kind: 'position', x: 100, y: 100 });
    expect(report()).toEqual([0, 127, 0xfd, 0xff]);
    expect(report()).toEqual([0, 74, 0, 0]);
    expect(report()).toBeNull();
  });

  test('reports buttons one by one, with the motion between them', () => {
    const { pointer, report } = mouse();
    pointer.point({ kind: 'button', code: BUTTON.left, down: true });
    pointer.point({ kind: 'motion', dx: 5, dy: 6 });
    pointer.point({ kind: 'button', code: BUTTON.extra, down: true });
    pointer.point({ kind: 'button', code: BUTTON.left, down: false });
    expect([report(), report(), report(), report()]).toEqual([
      [0x01, 0, 0, 0],
      [0x01, 5, 6, 0],
      [0x11, 0, 0, 0],
      [0x10, 0, 0, 0],
    ]);
  });
});

describe('a tablet', () => {
  const tablet = () => {
    const { built, report } = used('usb-tablet');
    return { built, pointer: built.capabilities!.pointer!, report };
  };

  test('reports the position of the pointer', () => {
    const { pointer, report } = tablet();
    expect(pointer.absolute).toBe(true);
    pointer.point({ kind: 'position', x: 0x1234, y: 0x7fff });
    pointer.point({ kind: 'position', x: 0x0001, y: 0x0203 });
    pointer.point({ kind: 'motion', dx: 1, dy: 1 });
    expect(report()).toEqual([0, 0x01, 0x00, 0x03, 0x02, 0]);
    expect(report()).toBeNull();
  });

  test('reports a button at the position where it was pressed', () => {
    const { pointer, report } = tablet();
    pointer.point({ kind: 'position', x: 16, y: 16 });
    pointer.point({ kind: 'button', code: BUTTON.left, down: true });
    pointer.point({ kind: 'position', x: 32, y: 32 });
    expect([report(), report(), report()]).toEqual([
      [0, 16, 0, 16, 0, 0],
      [1, 16, 0, 16, 0, 0],
      [1, 32, 0, 32, 0, 0],
    ]);
  });

  test('releases buttons that were held in a saved machine, at its position', () => {
    const { built, pointer } = tablet();
    pointer.point({ kind: 'position', x: 16, y: 16 });
    pointer.point({ kind: 'button', code: BUTTON.left, down: true });
    pointer.point({ kind: 'button', code: BUTTON.right, down: true });
    const other = tablet();
    other.built.device.load(structuredClone(built.device.save()));
    other.built.device.resume!();
    const reports = Array.from({ length: 5 }, () => other.report());
    expect(reports).toEqual([
      [0, 16, 0, 16, 0, 0],
      [1, 16, 0, 16, 0, 0],
      [3, 16, 0, 16, 0, 0],
      [0, 16, 0, 16, 0, 0],
      null,
    ]);
    other.pointer.point({ kind: 'button', code: BUTTON.left, down: true });
    expect([other.report(), other.report()]).toEqual([[1, 16, 0, 16, 0, 0], null]);
  });

  test('limits the reports that the guest has not read', () => {
    const { built, pointer } = tablet();
    let taken = 0;
    while (pointer.point({ kind: 'button', code: BUTTON.right, down: taken % 2 === 0 })) {
      taken++;
      for (let x = 0; x < 10; x++) pointer.point({ kind: 'position', x, y: taken });
    }
    expect(taken).toBe(16);
    expect((built.device.save().reports as { queued: number }).queued).toBe(32);
  });
});
