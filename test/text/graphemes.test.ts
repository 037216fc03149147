import { expect, test } from 'vitest';
import { graphemes } from '../../src/text/graphemes.ts';

const segmenter = new Intl.Segmenter(undefined, { granularity: 'grapheme' });
const parts = (text: string, by: Pick<typeof graphemes, 'segment'>) =>
  Array.from(by.segment(text), ({ segment, index }) => [index, segment]);

test.each([
  '',
  'plain text',
  '\x1b[38;5;12m█▀▄\x1b[39m ── … ▸ running',
  'e\u0301 and \u6f22',
  '\u{1f469}\u200d\u{1f469}\u200d\u{1f467}',
  'two\r\nlines',
])('%j has the parts that Intl.Segmenter finds', text => {
  expect(parts(text, graphemes)).toEqual(parts(text, segmenter));
  for (let index = 0; index <= text.length; index++)
    expect(graphemes.segment(text).containing(index)?.index).toBe(
      segmenter.segment(text).containing(index)?.index,
    );
});
