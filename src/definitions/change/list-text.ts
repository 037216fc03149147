import {
  type Document,
  isMap,
  isNode,
  isScalar,
  isSeq,
  type Node,
  stringify,
  type ToStringOptions,
} from 'yaml';

/** A list of a definition as it is written: one entry per line or more, each after a dash. */
type BlockList = {
  /** Offset of its key. */
  readonly start: number;
  /** Offsets of the entries' dashes. */
  readonly dashes: readonly number[];
  /** Offsets behind the lines in which the entries end, with the comments in them. */
  readonly ends: readonly number[];
};

/** The text with another entry at the end of a list; null if the list is not written entry by entry. */
export function withEntry(
  text: string,
  document: Document.Parsed,
  key: string,
  entry: unknown,
  style: ToStringOptions,
): string | null {
  const list = blockList(text, document, key);
  if (list === null) return null;
  const dash = list.dashes.at(-1)!;
  const end = list.ends.at(-1)!;
  const indent = ' '.repeat(dash - lineStart(text, dash));
  const newline = text.includes('\r\n') ? '\r\n' : '\n';
  const lines = stringify([entry], style).trimEnd().split('\n');
  const added = lines.map(line => `${indent}${line}${newline}`).join('');
  const before = text.slice(0, end);
  return before + (before.endsWith('\n') ? '' : newline) + added + text.slice(end);
}

/**
 * The text without an entry of a list and the comment above it; null if the list is not written entry by entry, or has
 * no other entry.
 */
export function withoutEntry(
  text: string,
  document: Document.Parsed,
  key: string,
  index: number,
): string | null {
  const list = blockList(text, document, key);
  const dash = list?.dashes[index];
  if (list === null || dash === undefined || list.dashes.length === 1) return null;
  let start = lineStart(text, dash);
  // Comments further right belong to the previous entry.
  const comment = new RegExp(`^ {0,${dash - start}}#`);
  while (start > 0) {
    const above = lineStart(text, start - 1);
    if (!comment.test(text.slice(above, start))) break;
    start = above;
  }
  return text.slice(0, start) + text.slice(list.ends[index]!);
}

/** The text without a list; null if it is not written entry by entry. */
export function withoutList(text: string, document: Document.Parsed, key: string): string | null {
  const list = blockList(text, document, key);
  return list === null ? null : text.slice(0, list.start) + text.slice(list.ends.at(-1)!);
}

function blockList(text: string, { contents }: Document.Parsed, key: string): BlockList | null {
  if (!isMap(contents) || contents.flow) return null;
  const pair = contents.items.find(item => isScalar(item.key) && item.key.value === key);
  const list = pair?.value;
  if (!isSeq(list) || list.flow || list.items.length === 0) return null;
  const dashes: number[] = [];
  const ends: number[] = [];
  for (const item of list.items) {
    const [start, end] = (isNode(item) ? item.range : null) ?? [];
    if (start === undefined || end === undefined) return null;
    // Between a dash and its entry there may be an anchor or a tag.
    const dash = text.lastIndexOf('-', start - 1);
    if (dash < 0 || !/^ *$/.test(text.slice(lineStart(text, dash), dash))) return null;
    // The value of an entry may end with its line break.
    let next = nextLine(text, text[end - 1] === '\n' ? end - 1 : end);
    const comment = new RegExp(`^ {${dash - lineStart(text, dash) + 1},}#`);
    while (comment.test(text.slice(next, nextLine(text, next)))) next = nextLine(text, next);
    dashes.push(dash);
    ends.push(next);
  }
  return { start: (pair!.key as Node).range![0], dashes, ends };
}

function nextLine(text: string, offset: number): number {
  const newline = text.indexOf('\n', offset);
  return newline < 0 ? text.length : newline + 1;
}

function lineStart(text: string, offset: number): number {
  return text.lastIndexOf('\n', offset - 1) + 1;
}
