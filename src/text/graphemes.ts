/** Characters of one cell each that never combine: printable ASCII, box drawing, blocks, and the UI's own signs. */
export const PLAIN = /^[\x20-\x7e\u00b7\u2026\u2500-\u259f\u25b2\u25b8\u25bc\u25be]*$/;
/** The same, with escape sequences in between. */
export const PLAIN_STYLED = /^[\x1b\x20-\x7e\u00b7\u2026\u2500-\u259f\u25b2\u25b8\u25bc\u25be]*$/;

type Grapheme = { readonly segment: string; readonly index: number };
type Graphemes = Iterable<Grapheme> & {
  /** The grapheme that a code unit belongs to. */
  containing(index: number): Grapheme | undefined;
};

/** Created for the first text that is not plain, as that takes milliseconds. */
let segmenter: Intl.Segmenter | null = null;

/** Replaces Intl.Segmenter, which is slow, for the many texts that are plain. */
export const graphemes = {
  segment(text: string): Graphemes {
    if (PLAIN_STYLED.test(text)) return oneByOne(text);
    segmenter ??= new Intl.Segmenter(undefined, { granularity: 'grapheme' });
    return segmenter.segment(text);
  },
};

function oneByOne(text: string): Graphemes {
  return {
    [Symbol.iterator]: () => Array.from(text, (segment, index) => ({ segment, index })).values(),
    containing: index => (index < text.length ? { segment: text[index]!, index } : undefined),
  };
}
