import { expect, test, vi } from 'vitest';
import { openImage } from '../../../src/vmm/boot/image-file.ts';

const GiB = 2 ** 30;

const { reads } = vi.hoisted(() => ({ reads: [] as { at: number; length: number; position: number }[] }));

vi.mock(import('node:fs'), async original => {
  const fs = await original();
  const stat = { isFile: () => true, size: 5 * 2 ** 30 };
  const readSync = (_fd: number, _target: unknown, at: number, length: number, position: number) => {
    if (length > 0x7fff_ffff) throw new RangeError('The value of "length" is out of range');
    reads.push({ at, length, position });
    return length;
  };
  return { ...fs, openSync: () => -1, closeSync: () => {}, fstatSync: () => stat, readSync } as never;
});

test('an image of more than 2 GiB is read in chunks', () => {
  const target = { length: 5 * GiB - 512 } as Uint8Array;
  openImage('initrd', 'initrd').readInto(target, 512, 'content');
  expect(reads.reduce((sum, { length }) => sum + length, 0)).toBe(target.length);
  for (const { at, position } of reads) expect(position).toBe(at + 512);
});
