import { expect, test } from 'vitest';
import { codeText } from '../../src/text/errno.ts';

test.each([
  ['ELOOP', 'too many symbolic links encountered (ELOOP)'],
  ['EIO', 'i/o error (EIO)'],
  ['EWHAT', 'EWHAT'],
  ['constructor', 'constructor'],
  ['', ''],
  [undefined, 'unknown error'],
])('%s', (code, text) => expect(codeText(code)).toBe(text));
