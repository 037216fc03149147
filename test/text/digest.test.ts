import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { sha256 } from '../../src/text/digest.ts';

test("the SHA-256 of a text is Node's", () => {
  const ofNode = (text: string) => createHash('sha256').update(text).digest('hex');
  // Around the ends of blocks, with padding that needs one more, and beyond ASCII.
  const texts = ['', 'abc', 'vring web', 'ü€😀'.repeat(9)];
  for (let length = 50; length < 140; length++) texts.push('x'.repeat(length));
  for (const text of texts) expect(sha256(text).toString('hex')).toBe(ofNode(text));
});
