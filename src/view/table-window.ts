import { useState } from 'react';

/**
 * Where a window of `height` rows on a list of `length` starts so that it includes the cursor: at its previous start,
 * if possible.
 */
export function slide(first: number, length: number, height: number, cursor: number): number {
  const last = Math.max(0, length - height);
  const withCursor = Math.max(cursor - height + 1, Math.min(first, cursor));
  return Math.max(0, Math.min(withCursor, last));
}

/** The first row of a window that moves only as far as needed to follow the cursor. */
export function useWindowStart(length: number, height: number, cursor: number): number {
  const [first, setFirst] = useState(0);
  const next = slide(first, length, height, cursor);
  if (next !== first) setFirst(next);
  return next;
}
