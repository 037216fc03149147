/** [start, end) of a space, where `range` is on top. */
export type Visible<R> = { readonly start: number; readonly end: number; readonly range: R };

/**
 * The visible parts of overlapping ranges.
 * @param ranges the topmost first
 * @returns ascending and disjoint parts; neighbors are of different ranges
 */
export function visible<R extends { readonly start: number; readonly size: number }>(
  ranges: readonly R[],
): Visible<R>[] {
  const ends = ranges.map(({ start, size }) => start + size);
  const byStart = ranges.map((_, index) => index).sort((a, b) => ranges[a]!.start - ranges[b]!.start);
  const edges = [...new Set([...ranges.map(({ start }) => start), ...ends])].sort((a, b) => a - b);
  const pieces: Visible<R>[] = [];
  /** Ranges that have started, the topmost first; those that have ended are removed when they get to the top. */
  const open: number[] = [];
  let next = 0;
  for (let edge = 0; edge < edges.length - 1; edge++) {
    const start = edges[edge]!;
    while (next < byStart.length && ranges[byStart[next]!]!.start === start) insert(open, byStart[next++]!);
    while (open.length > 0 && ends[open[0]!]! <= start) open.shift();
    const top = open[0];
    if (top === undefined) continue;
    const range = ranges[top]!;
    const end = edges[edge + 1]!;
    const last = pieces.at(-1);
    if (last?.range === range && last.end === start) pieces[pieces.length - 1] = { ...last, end };
    else pieces.push({ start, end, range });
  }
  return pieces;
}

/** Inserts a number into an ascending list. */
function insert(list: number[], value: number): void {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (list[middle]! < value) low = middle + 1;
    else high = middle;
  }
  list.splice(low, 0, value);
}
