/** The number of lines by which a key scrolls a text, given the visible page. */
const SCROLL: Readonly<Record<string, (page: number) => number>> = {
  j: () => 1,
  down: () => 1,
  k: () => -1,
  up: () => -1,
  space: page => page,
  pagedown: page => page,
  'ctrl+f': page => page,
  pageup: page => -page,
  'ctrl+b': page => -page,
  g: () => Number.NEGATIVE_INFINITY,
  home: () => Number.NEGATIVE_INFINITY,
  G: () => Number.POSITIVE_INFINITY,
  end: () => Number.POSITIVE_INFINITY,
};

/** The first visible line after a key, in a text of `length` lines; null if the key does not scroll. */
export function scrolled(key: string, offset: number, page: number, length: number): number | null {
  const lines = SCROLL[key]?.(page);
  if (lines === undefined) return null;
  const last = Math.max(0, length - page);
  return Math.max(0, Math.min(offset + lines, last));
}
