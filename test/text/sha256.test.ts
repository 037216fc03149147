import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { sha256 } from '../../src/text/sha256.ts';

test('a text is hashed in UTF-8', () => {
  for (const text of ['', 'web', 'Größe', '機械', '🙂'.repeat(40)])
    expect(sha256(text).toString('hex')).toBe(createHash('sha256').update(text).digest('hex'));
});
