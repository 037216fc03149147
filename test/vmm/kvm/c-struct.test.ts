import { describe, expect, it } from 'vitest';
import { Struct } from '../../../src/vmm/kvm/c-struct.ts';

const point = new Struct('point', { x: 's32', y: 'u16' });
const shape = new Struct('shape', {
  kind: 'u8',
  id: 'u64',
  gap: { padding: 3 },
  name: { array: 'u8', length: 3 },
  points: { array: point, length: 2 },
  mask: { array: 'u64', length: 1 },
});

describe('Struct', () => {
  it('places fields as the x86-64 ABI does', () => {
    expect(point).toMatchObject({ size: 8, alignment: 4 });
    expect(shape.offset('id')).toBe(8);
    expect(shape.offset('name')).toBe(19);
    expect(shape.offset('points')).toBe(24);
    expect(shape.offset('mask')).toBe(40);
    expect(shape).toMatchObject({ size: 48, alignment: 8 });
  });

  it('reads back what it wrote, in a buffer that is not aligned', () => {
    const value = {
      kind: 255,
      id: 0xffff_ffff_ffff_fffen,
      name: Uint8Array.of(1, 2, 3),
      points: [
        { x: -5, y: 65535 },
        { x: 2 ** 31 - 1, y: 0 },
      ],
      mask: [1n],
    };
    const bytes = new Uint8Array(64).fill(0xaa);
    shape.write(bytes, value, 5);
    expect(shape.read(bytes, 5)).toEqual(value);
    expect(bytes[5 + 1]).toBe(0);
    expect(bytes[5 + shape.size]).toBe(0xaa);
  });

  it('names the invalid field', () => {
    const good = shape.read(new Uint8Array(shape.size));
    const write = (change: object) => shape.encode({ ...good, ...change } as typeof good);
    expect(() => write({ id: 5 })).toThrow('shape.id must be a bigint');
    expect(() => write({ kind: undefined })).toThrow('shape.kind must be a number');
    expect(() => write({ name: Uint8Array.of(1) })).toThrow('shape.name must have 3 elements');
    expect(() => write({ points: [{ x: 1, y: 1 }, null] })).toThrow('shape.points[1] is missing');
    expect(() => write({ points: [{ x: 1, y: 1 }, { x: 1 }] })).toThrow('point.y must be a number');
  });
});
