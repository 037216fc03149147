import stringWidth from 'string-width';
import { graphemes, PLAIN } from './graphemes.ts';

/** A cache: the same texts are drawn repeatedly, and measuring non-ASCII text is slow. */
const measured = new Map<string, number>();
const MEASURED_MOST = 4096;

/** The terminal cells that a text occupies. */
export function width(text: string): number {
  if (PLAIN.test(text)) return text.length;
  let cells = measured.get(text);
  if (cells === undefined) {
    cells = stringWidth(text);
    if (measured.size >= MEASURED_MOST) measured.clear();
    measured.set(text, cells);
  }
  return cells;
}

/** The text cut to `cells`, with `ellipsis` where something was cut off. */
export function truncate(text: string, cells: number, ellipsis = '…'): string {
  if (width(text) <= cells) return text;
  const room = cells - width(ellipsis);
  if (room < 0) return '';
  if (PLAIN.test(text)) return text.slice(0, room) + ellipsis;
  let kept = '';
  let used = 0;
  for (const { segment } of graphemes.segment(text)) {
    const next = used + width(segment);
    if (next > room) break;
    kept += segment;
    used = next;
  }
  return kept + ellipsis;
}

/** The share of the cells for the start of a name cut in the middle. */
const HEAD_SHARE = 0.6;

/** The text cut to `cells` in the middle: `prod-web-eu-west-1-0042` keeps its prefix and number. */
export function truncateMiddle(text: string, cells: number, ellipsis = '…'): string {
  if (width(text) <= cells) return text;
  const room = cells - width(ellipsis);
  if (room < 2) return truncate(text, cells, ellipsis);
  const head = truncate(text, Math.ceil(room * HEAD_SHARE), '');
  return head + ellipsis + tail(text, room - width(head));
}

/** The end of the text that fits in `cells`. */
function tail(text: string, cells: number): string {
  if (PLAIN.test(text)) return text.slice(text.length - cells);
  const segments = Array.from(graphemes.segment(text), ({ segment }) => segment);
  let kept = '';
  let used = 0;
  for (const segment of segments.reverse()) {
    used += width(segment);
    if (used > cells) break;
    kept = segment + kept;
  }
  return kept;
}

export type Align = 'left' | 'right';
/** Where to cut a text that is too long. With `never` it overflows. */
export type Cut = 'end' | 'middle' | 'never';

/** The text in exactly `cells` cells: padded, or cut. */
export function pad(
  text: string,
  cells: number,
  align: Align = 'left',
  ellipsis = '…',
  cut: Cut = 'end',
): string {
  const fitted = CUTS[cut](text, cells, ellipsis);
  const padding = ' '.repeat(Math.max(0, cells - width(fitted)));
  return align === 'left' ? fitted + padding : padding + fitted;
}

const CUTS: Readonly<Record<Cut, typeof truncate>> = {
  end: truncate,
  middle: truncateMiddle,
  never: text => text,
};

/**
 * The text in lines of at most `most` cells, broken between words if possible. A line has room for at least one wide
 * character, however few cells there are.
 */
export function wrap(text: string, most: number): string[] {
  const cells = Math.max(2, most);
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    const longer = line === '' ? word : `${line} ${word}`;
    if (width(longer) <= cells) {
      line = longer;
      continue;
    }
    if (line !== '') lines.push(line);
    line = word;
    while (width(line) > cells) {
      const head = truncate(line, cells, '');
      lines.push(head);
      line = line.slice(head.length);
    }
  }
  lines.push(line);
  return lines;
}
