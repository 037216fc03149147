import { expect, test } from 'vitest';
import { Scrollback } from '../../../src/vmm/machine/scrollback.ts';

const text = (scrollback: Scrollback) => Buffer.from(scrollback.read()).toString();

test('keeps the last bytes, oldest first', () => {
  const scrollback = new Scrollback(8);
  expect(text(scrollback)).toBe('');
  scrollback.append(Buffer.from('abcde'));
  expect(text(scrollback)).toBe('abcde');
  scrollback.append(Buffer.from('fgh'));
  expect(text(scrollback)).toBe('abcdefgh');
  scrollback.append(Buffer.from('ij'));
  expect(text(scrollback)).toBe('cdefghij');
});

test('keeps the end of a chunk that exceeds its size', () => {
  const scrollback = new Scrollback(4);
  scrollback.append(Buffer.from('xy'));
  scrollback.append(Buffer.from('0123456789'));
  expect(text(scrollback)).toBe('6789');
  scrollback.append(Buffer.from('ab'));
  expect(text(scrollback)).toBe('89ab');
});
