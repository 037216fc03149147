import { expect, test } from 'vitest';
import { errorText, ListedError } from '../../src/text/listed-error.ts';

test('several problems are a list, one is a sentence', () => {
  const several = new ListedError('web cannot start', ['a is absent', 'b is in use']);
  expect(several.message).toBe('web cannot start: a is absent; b is in use');
  expect(errorText(several)).toBe('web cannot start:\n  - a is absent\n  - b is in use');
  expect(errorText(new ListedError('web cannot start', ['a is absent']))).toBe(
    'web cannot start: a is absent',
  );
  expect(errorText(new Error('no'))).toBe('no');
  expect(errorText('no')).toBe('no');
});
