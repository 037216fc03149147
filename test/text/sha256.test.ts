import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { sha256 } from '../../src/text/sha256.ts';

test('texts have the digests that Node computes, around the lengths at which they take another block', () => {
  for (const length of [0, 1, 3, 54, 55, 56, 57, 63, 64, 65, 118, 119, 120, 128, 1000]) {
    const text = Array.from({ length }, (_, index) => String.fromCharCode(33 + ((index * 7) % 90))).join('');
    expect(sha256(text).toString('hex'), `${length} bytes`).toBe(
      createHash('sha256').update(text).digest('hex'),
    );
  }
});

test('a text is hashed in UTF-8', () => {
  for (const text of ['Größe', '機械', '🙂'])
    expect(sha256(text).toString('hex')).toBe(createHash('sha256').update(text).digest('hex'));
});
