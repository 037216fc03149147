import { describe, expect, test } from 'vitest';
import { printable, printableLines } from '../../src/text/printable.ts';
import { editText, insertText, pastedText, textEdit } from '../../src/text/text-edit.ts';
import { bytes, count, nanoseconds, percent, rate, uptime } from '../../src/text/units.ts';
import { pad, truncate, width, wrap } from '../../src/text/width.ts';

describe('printable', () => {
  test('leaves no control character', () => {
    const all = String.fromCharCode(...Array.from({ length: 0xa0 }, (_, code) => code));
    expect(printable(all)).not.toMatch(/[\x00-\x1f\x7f-\x9f]/);
    expect(printable('a\x1b[31mb\x9b2Jc')).toBe('a?[31mb?2Jc');
  });

  test('leaves no mark that reorders text', () => {
    expect(printable('user\u202egpj.exe\u2066')).toBe('user?gpj.exe?');
  });

  test('keeps lines apart where there may be several', () => {
    expect(printableLines('rax\t1\r\nrbx\x07')).toEqual(['rax  1', 'rbx?']);
  });
});

describe('width', () => {
  test.each([
    ['abc', 3],
    ['漢字', 4],
    ['e\u0301', 1],
    ['👩‍🚀', 2],
  ])('%j occupies %i cells', (text, cells) => {
    expect(width(text)).toBe(cells);
  });

  test.each([
    ['abcdef', 6, 'abcdef'],
    ['abcdef', 5, 'abcd…'],
    ['漢字漢字', 5, '漢字…'],
    ['漢字漢字', 4, '漢…'],
    ['abc', 0, ''],
  ])('%j cut to %i cells is %j', (text, cells, expected) => {
    expect(truncate(text, cells)).toBe(expected);
  });

  test('pad fills or cuts to exactly the cells', () => {
    expect(pad('ab', 4)).toBe('ab  ');
    expect(pad('ab', 4, 'right')).toBe('  ab');
    expect(width(pad('漢字漢字', 4))).toBe(4);
  });

  test('wrap breaks between words, and in words that are too long', () => {
    expect(wrap('one two three', 7)).toEqual(['one two', 'three']);
    expect(wrap('abcdefgh ij', 4)).toEqual(['abcd', 'efgh', 'ij']);
    expect(wrap('', 4)).toEqual(['']);
    expect(wrap('漢字 a', -5)).toEqual(['漢', '字', 'a']);
  });
});

describe('units', () => {
  test('stay narrow at every size', () => {
    for (let value = 0.001; value < 1e18; value *= 1.7) {
      expect(count(value).length).toBeLessThanOrEqual(5);
      expect(rate(value).length).toBeLessThanOrEqual(5);
      expect(bytes(value).length).toBeLessThanOrEqual(6);
    }
    for (let ns = 0.5; ns < 9e12; ns *= 1.7) expect(nanoseconds(ns).length).toBeLessThanOrEqual(5);
  });

  test.each([
    [count(999), '999'],
    [count(999.7), '1.0k'],
    [count(12_345), '12.3k'],
    [rate(0), '0'],
    [rate(0.01), '<0.1'],
    [rate(4.2), '4.2'],
    [bytes(64 * 2 ** 20), '64M'],
    [bytes(1536), '1.5K'],
    [bytes(1023.9), '1K'],
    [percent(0), '0%'],
    [percent(0.0001), '<0.1%'],
    [percent(0.042), '4.2%'],
    [percent(3.6), '360%'],
    [nanoseconds(850), '850ns'],
    [nanoseconds(12_300), '12us'],
    [nanoseconds(3.4e6), '3.4ms'],
    [uptime(42_000), '42s'],
    [uptime(187_000), '3m07s'],
    [uptime(26 * 3_600_000), '1d02h'],
  ])('%s is %s', (text, expected) => {
    expect(text).toBe(expected);
  });
});

describe('editing', () => {
  const typed = (start: string, ...keys: string[]) => keys.reduce(editText, textEdit(start));

  test.each<[string, string[], string]>([
    ['', ['a', 'space', 'é'], 'a é'],
    ['abc', ['backspace'], 'ab'],
    ['abc', ['home', 'delete', 'x'], 'xbc'],
    ['abc', ['left', 'left', 'x', 'end', 'y'], 'axbcy'],
    ['one two', ['ctrl+w'], 'one '],
    ['one two', ['left', 'left', 'ctrl+u'], 'wo'],
    ['one two', ['home', 'right', 'ctrl+k'], 'o'],
    ['a😀b', ['left', 'backspace'], 'ab'],
    ['abc', ['f5', 'up', 'ctrl+z', 'tab'], 'abc'],
  ])('%j with the keys %j is %j', (start, keys, expected) => {
    expect(typed(start, ...keys).text).toBe(expected);
  });

  test('a text is inserted at the cursor', () => {
    expect(insertText(typed('ad', 'left'), 'bc')).toEqual({ text: 'abcd', cursor: 3 });
  });
});

describe('a paste into a line', () => {
  test.each([
    ['one', 'one'],
    ['one\r\ntwo\n', 'one two'],
    ['\n\n one\ttwo ', ' one two '],
    ['a\x1b[31mb\x07', 'a?[31mb?'],
  ])('%j becomes %j', (text, expected) => {
    expect(pastedText(text)).toBe(expected);
  });
});
