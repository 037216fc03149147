import { describe, expect, test } from 'vitest';
import type { BuiltDevice } from '../../../src/devices/device-type.ts';
import {
  BUTTON,
  type InputEvent,
  type KeyboardControl,
  type PointerControl,
} from '../../../src/devices/input/input-event.ts';
import { KEY } from '../../../src/devices/input/key-codes.ts';
import { MachineInput } from '../../../src/vmm/machine/input-commands.ts';

type PointerEvent = Parameters<PointerControl['point']>[0];

class Keyboard implements KeyboardControl {
  active = true;
  isFull = false;
  readonly leds = { scrollLock: false, numLock: false, capsLock: false };
  readonly got: number[] = [];

  key(code: number, down: boolean): boolean {
    if (!this.isFull) this.got.push(down ? code : -code);
    return !this.isFull;
  }

  onChanged() {
    return () => {};
  }
}

class Pointer implements PointerControl {
  active = true;
  readonly absolute: boolean;
  readonly got: PointerEvent[] = [];

  constructor(absolute: boolean) {
    this.absolute = absolute;
  }

  point(event: PointerEvent): boolean {
    this.got.push(event);
    return true;
  }
}

const built = (...capabilities: BuiltDevice['capabilities'][]) =>
  capabilities.map(each => ({ capabilities: each }) as BuiltDevice);
const key = (code: number, down: boolean): InputEvent => ({ kind: 'key', code, down });
const left = (down: boolean) => ({ kind: 'button', code: BUTTON.left, down }) as const;
const at = (x: number, y: number) => ({ kind: 'position', x, y }) as const;

describe('keys', () => {
  test('go to the last keyboard that the guest uses, or to the first one if it uses none', () => {
    const [first, second, third] = [new Keyboard(), new Keyboard(), new Keyboard()];
    const devices = built(...[first, second, third].map(keyboard => ({ keyboard })));
    const input = new MachineInput();
    third.active = false;
    input.pass(devices, [key(KEY.a, true), key(KEY.a, false)]);
    first.active = second.active = false;
    input.pass(devices, [key(KEY.b, true)]);
    expect([first.got, second.got, third.got]).toEqual([[KEY.b], [KEY.a, -KEY.a], []]);
    expect(() => input.pass([], [key(KEY.a, true)])).toThrow('the VM has no keyboard');
  });

  test('are released where they were pressed', () => {
    const [first, second] = [new Keyboard(), new Keyboard()];
    const devices = built({ keyboard: first }, { keyboard: second });
    const input = new MachineInput();
    second.active = false;
    input.pass(devices, [key(KEY.esc, true)]);
    second.active = true;
    // A client repeats the key.
    input.pass(devices, [key(KEY.esc, true), key(KEY.esc, false), key(KEY.esc, true), key(KEY.esc, false)]);
    expect(first.got).toEqual([KEY.esc, KEY.esc, -KEY.esc]);
    expect(second.got).toEqual([KEY.esc, -KEY.esc]);
  });

  test('go to another keyboard if theirs is unplugged', () => {
    const [first, second] = [new Keyboard(), new Keyboard()];
    const input = new MachineInput();
    input.pass(built({ keyboard: first }, { keyboard: second }), [key(KEY.a, true)]);
    input.pass(built({ keyboard: first }), [key(KEY.a, false), key(KEY.a, true)]);
    expect([first.got, second.got]).toEqual([[-KEY.a, KEY.a], [KEY.a]]);
  });

  test('that a keyboard has no room for are rejected, and not held', () => {
    const [first, second] = [new Keyboard(), new Keyboard()];
    const devices = built({ keyboard: first }, { keyboard: second });
    const input = new MachineInput();
    second.isFull = true;
    expect(input.pass(devices, [key(KEY.a, true)])).toBe(0);
    second.active = false;
    expect(input.pass(devices, [key(KEY.a, true), key(KEY.a, false)])).toBe(2);
    expect(first.got).toEqual([KEY.a, -KEY.a]);
  });
});

describe('a pointer', () => {
  test('receives positions unchanged, or as motion', () => {
    const [mouse, tablet] = [new Pointer(false), new Pointer(true)];
    const devices = built({ pointer: mouse }, { pointer: tablet });
    const input = new MachineInput();
    input.pass(devices, [at(0x100, 0x200)]);
    expect(tablet.got).toEqual([at(0x100, 0x200)]);
    tablet.active = false;
    input.pass(devices, [at(0, 0), at(0x4000, 0x2000)]);
    expect(mouse.got).toEqual([
      { kind: 'motion', dx: 0, dy: 0 },
      { kind: 'motion', dx: 512, dy: 256 },
    ]);
    expect(() => input.pass([], [left(true)])).toThrow('the VM has no mouse');
  });

  test('moves as far as a client that clicks and turns the wheel', () => {
    const mouse = new Pointer(false);
    const devices = built({ pointer: mouse });
    const input = new MachineInput();
    const wheel = { kind: 'wheel', dy: 1 } as const;
    input.pass(devices, [at(0, 0), left(true), at(0x1000, 0), left(false), wheel, at(0x1000, 0x1000)]);
    expect(mouse.got).toEqual([
      { kind: 'motion', dx: 0, dy: 0 },
      left(true),
      { kind: 'motion', dx: 128, dy: 0 },
      left(false),
      wheel,
      { kind: 'motion', dx: 0, dy: 128 },
    ]);
    // Where it is then is not known.
    mouse.got.length = 0;
    input.pass(devices, [{ kind: 'motion', dx: 5, dy: 5 }, at(0x2000, 0)]);
    expect(mouse.got.at(-1)).toEqual({ kind: 'motion', dx: 0, dy: 0 });
  });

  test('has its buttons released where they were pressed', () => {
    const [mouse, tablet] = [new Pointer(false), new Pointer(true)];
    const devices = built({ pointer: mouse }, { pointer: tablet });
    const input = new MachineInput();
    tablet.active = false;
    input.pass(devices, [left(true)]);
    tablet.active = true;
    input.pass(devices, [left(false), left(true)]);
    expect([mouse.got, tablet.got]).toEqual([[left(true), left(false)], [left(true)]]);
  });
});
