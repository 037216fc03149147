import { beforeEach, describe, expect, test } from 'vitest';
import { FLASH_BLOCK, Flash } from '../../../src/devices/firmware/flash.ts';
import { DeviceStateError } from '../../../src/devices/state.ts';
import { Random } from '../../support/random.ts';

const SIZE = 4 * FLASH_BLOCK;

let bytes: Uint8Array;
let isArray: boolean;
let changes: (readonly [number, number])[];

function chip(): Flash {
  return new Flash({
    name: 'flash',
    bytes,
    onArray: now => {
      isArray = now;
    },
    onChanged: (offset, length) => changes.push([offset, length]),
  });
}

beforeEach(() => {
  bytes = new Uint8Array(SIZE).fill(0x11);
  isArray = true;
  changes = [];
});

describe('a flash memory chip', () => {
  test("is detected by OVMF's probe", () => {
    const flash = chip();
    expect(flash.read(0, 1)).toBe(0x11);
    flash.write(0, 1, 0x50);
    // RAM would have stored it.
    expect([flash.read(0, 1), isArray]).toEqual([0x11, true]);
    flash.write(0, 1, 0x70);
    expect([flash.read(0, 1), isArray]).toEqual([0x00, false]);
    flash.write(0, 1, 0xff);
    expect([flash.read(0, 1), isArray]).toEqual([0x11, true]);
    expect(changes).toEqual([]);
  });

  test.each([0x10, 0x40])(
    'programs bytes with 0x%s, and shows the status until it returns to read mode',
    command => {
      const flash = chip();
      for (const [at, value] of [0xab, 0xcd].entries()) {
        flash.write(5 + at, 1, command);
        flash.write(5 + at, 1, value);
        expect([flash.read(0, 1), isArray]).toEqual([0x80, false]);
      }
      flash.write(0, 1, 0xff);
      expect(flash.read(4, 4)).toBe(0x11cdab11);
      expect(changes).toEqual([
        [5, 1],
        [6, 1],
      ]);
    },
  );

  test('erases the confirmed block, and nothing without a confirmation', () => {
    const flash = chip();
    flash.write(FLASH_BLOCK, 1, 0x20);
    flash.write(FLASH_BLOCK, 1, 0xff);
    expect(flash.read(0, 1)).toBe(0xb0);
    expect(changes).toEqual([]);
    flash.write(FLASH_BLOCK + 9, 1, 0x20);
    flash.write(FLASH_BLOCK + 9, 1, 0xd0);
    expect(changes).toEqual([[FLASH_BLOCK, FLASH_BLOCK]]);
    expect([...bytes.entries()].filter(([, byte]) => byte === 0xff).map(([at]) => at)).toEqual(
      Array.from({ length: FLASH_BLOCK }, (_, at) => FLASH_BLOCK + at),
    );
  });

  test('programs a buffer once it is confirmed', () => {
    const flash = chip();
    flash.write(0x100, 1, 0xe8);
    expect(flash.read(0x100, 1)).toBe(0x80);
    flash.write(0x100, 1, 3);
    flash.write(0x100, 4, 0x04030201);
    expect(changes).toEqual([]);
    flash.write(0x100, 1, 0xd0);
    expect([...bytes.subarray(0x100, 0x105)]).toEqual([1, 2, 3, 4, 0x11]);
    expect(changes).toEqual([[0x100, 4]]);
  });

  test('programs a buffer at any offset', () => {
    const flash = chip();
    flash.write(0, 1, 0xe8);
    flash.write(0, 1, 4);
    for (const [at, value] of [
      [7, 1],
      [8, 2],
      [3, 3],
      [8, 4],
      [9, 5],
    ] as const)
      flash.write(at, 1, value);
    flash.write(0, 1, 0xd0);
    expect([bytes[7], bytes[8], bytes[3], bytes[9]]).toEqual([1, 4, 3, 5]);
    expect(changes).toEqual([
      [7, 2],
      [3, 1],
      [8, 2],
    ]);
  });

  test('reports its identifier and CFI query data', () => {
    const flash = chip();
    flash.write(0, 1, 0x90);
    expect([flash.read(0, 1), flash.read(1, 1)]).toEqual([0x89, 0x18]);
    flash.write(0, 1, 0x98);
    const byte = (at: number) => flash.read(at, 1);
    expect(String.fromCharCode(byte(0x10), byte(0x11), byte(0x12))).toBe('QRY');
    expect(2 ** byte(0x27)).toBe(SIZE);
    const blocks = byte(0x2d) + 256 * byte(0x2e) + 1;
    expect(blocks * 256 * (byte(0x2f) + 256 * byte(0x30))).toBe(SIZE);
  });

  test('is in read mode after a reset, and keeps its contents', () => {
    const flash = chip();
    flash.write(7, 1, 0x40);
    flash.write(7, 1, 0x22);
    flash.reset();
    expect([flash.read(7, 1), isArray]).toEqual([0x22, true]);
  });

  test('loads a state with its contents, and writes what differs', () => {
    const from = chip();
    from.write(FLASH_BLOCK, 1, 0x40);
    from.write(FLASH_BLOCK, 1, 0x22);
    from.write(8, 1, 0xe8);
    from.write(8, 1, 1);
    from.write(8, 1, 0x33);
    const state = from.save();
    bytes = new Uint8Array(SIZE).fill(0x11);
    changes = [];
    const to = chip();
    to.load(state);
    expect(changes).toEqual([[FLASH_BLOCK, FLASH_BLOCK]]);
    expect(to.save()).toEqual(state);
    to.write(9, 1, 0x44);
    to.write(8, 1, 0xd0);
    to.write(8, 1, 0xff);
    expect([to.read(8, 2), to.read(FLASH_BLOCK, 1)]).toEqual([0x4433, 0x22]);
  });

  test('rejects a state that no device could have saved', () => {
    const flash = chip();
    const state = flash.save();
    for (const [key, value] of Object.entries({
      mode: 99,
      contents: new Uint8Array(SIZE - 1),
      offsets: [SIZE],
      left: 2 ** 12,
      buffer: new Uint8Array(1),
    }))
      expect(() => flash.load({ ...state, [key]: value }), key).toThrow(DeviceStateError);
  });

  test('survives garbage', () => {
    const flash = chip();
    const random = new Random(1);
    for (let i = 0; i < 20_000; i++) {
      const size = ([1, 2, 4] as const)[random.below(3)]!;
      const at = random.below(SIZE - 3);
      if (random.below(2) === 0) flash.write(at, size, random.below(2 ** 32));
      else expect(flash.read(at, size)).toBeLessThan(2 ** (8 * size));
    }
    for (const [offset, length] of changes) expect(offset + length).toBeLessThanOrEqual(SIZE);
    const state = flash.save();
    flash.load(state);
    expect(flash.save()).toEqual(state);
  });
});
