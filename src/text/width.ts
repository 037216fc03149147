import stringWidth from 'string-width';

const PLAIN = /^[\x20-\x7e]*$/;
const graphemes = new Intl.Segmenter(undefined, { granularity: 'grapheme' });

/** What has been measured: the same texts are drawn again and again, and one with other than ASCII takes long. */
const measured = new Map<string, number>();
const MEASURED_MOST = 4096;

/** Terminal cells that a text takes. */
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

/** Share of the cells that a name cut in the middle keeps of its beginning. */
const HEAD_SHARE = 0.6;

/** The text cut to `cells` in its middle: of `prod-web-eu-west-1-0042` the kind and the number stay. */
export function truncateMiddle(text: string, cells: number, ellipsis = '…'): string {
  if (width(text) <= cells) return text;
  const room = cells - width(ellipsis);
  if (room < 2) return truncate(text, cells, ellipsis);
  const head = truncate(text, Math.ceil(room * HEAD_SHARE), '');
  return head + ellipsis + tail(text, room - width(head));
}

/** The end of the text that fits into `cells`. */
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
/** Where a text that is too long is cut. What is `never` cut sticks out. */
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
 * The text in lines of at most `most` cells, broken between words where there are any. No line is narrower than a wide
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
