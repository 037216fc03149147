import { expect, test } from 'vitest';
import { preferredLayout } from '../../../src/screen/keyboard/preferred-layout.ts';

test.each([
  [undefined, {}, 'us'],
  [undefined, { VRING_LAYOUT: '' }, 'us'],
  [undefined, { VRING_LAYOUT: 'fr' }, 'fr'],
  ['de', { VRING_LAYOUT: 'fr' }, 'de'],
  ['de', {}, 'de'],
] as const)('the layout for a definition with %s and %j is %s', (layout, env, expected) => {
  const vnc = layout === undefined ? {} : { vnc: { listen: 'auto', layout } };
  expect(preferredLayout(vnc, env)).toBe(expected);
});

test('an unknown layout is rejected', () => {
  expect(() => preferredLayout({}, { VRING_LAYOUT: 'dvorak' })).toThrow(
    'VRING_LAYOUT=dvorak: expected one of us, uk, de, fr, es, it',
  );
});
