/** The candidate with the fewest edits from `text`, at most `most`; the first one if tied. */
export function nearest(
  text: string,
  candidates: readonly string[],
  most = Number.POSITIVE_INFINITY,
): { text: string; distance: number } | null {
  let best: { text: string; distance: number } | null = null;
  for (const candidate of candidates) {
    const limit = best === null ? most : best.distance - 1;
    const distance = editDistance(text, candidate, limit);
    if (distance !== null) best = { text: candidate, distance };
  }
  return best;
}

/** The candidate that `text` may be a typo of, if one is close enough. */
export function likely(text: string, candidates: readonly string[]): string | null {
  if (text.length > 64) return null;
  const typed = text.toLowerCase();
  const best = nearest(typed, candidates, Math.max(1, Math.floor(text.length / 3)));
  if (best === null) return null;
  return best.distance > 1 && best.distance >= differingLength(typed, best.text) ? null : best.text;
}

/**
 * Number of characters outside of the common prefix and suffix: for `virtio-blk` and `virtio-net`, the part that
 * distinguishes them.
 */
function differingLength(a: string, b: string): number {
  const shorter = Math.min(a.length, b.length);
  let start = 0;
  while (start < shorter && a[start] === b[start]) start++;
  let end = 0;
  while (end < shorter - start && a.at(-1 - end) === b.at(-1 - end)) end++;
  return Math.max(a.length, b.length) - start - end;
}

/**
 * The number of characters to insert, delete, replace or swap with their neighbor (optimal string alignment); null if
 * there are more than `most`.
 */
function editDistance(a: string, b: string, most: number): number | null {
  if (Math.abs(a.length - b.length) > most) return null;
  let before: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, column) => column);
  let [leastBefore, least] = [0, 0];
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    leastBefore = least;
    least = i;
    for (let j = 1; j <= b.length; j++) {
      const replaced = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      const best = Math.min(replaced, row[j]! + 1, next[j - 1]! + 1);
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      const distance = swapped ? Math.min(best, before[j - 2]! + 1) : best;
      next.push(distance);
      least = Math.min(least, distance);
    }
    // Later rows follow from these two, and are no smaller.
    if (Math.min(least, leastBefore + 1) > most) return null;
    before = row;
    row = next;
  }
  const distance = row[b.length]!;
  return distance <= most ? distance : null;
}
