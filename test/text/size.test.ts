import { expect, test } from 'vitest';
import { bytesOf, sizeText } from '../../src/text/size.ts';

test.each([
  ['512M', 512 * 2 ** 20],
  ['1.5g', 1.5 * 2 ** 30],
  ['64MiB', 64 * 2 ** 20],
  ['300', 300 * 2 ** 20],
])('%s', (text, bytes) => expect(bytesOf(text)).toBe(bytes));

test.each(['', '0', '-1', '12X', '1e9', '1.0000001K', '99999999T', ' 1M'])('%j is not a size', text =>
  expect(bytesOf(text)).toBeNull(),
);

test.each(['512M', '2G', '1536M', '3T', '1K', '1025K'])('%s is the shortest text of its bytes', text =>
  expect(sizeText(bytesOf(text)!)).toBe(text),
);
