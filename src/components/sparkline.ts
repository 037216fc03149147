import type { Glyphs } from '../theme/glyphs.ts';

/**
 * The last `cells` values as levels between zero and `top`; blank where there are no values yet.
 * @param top the value of the highest level; higher values are drawn the same
 */
export function sparkline(
  values: readonly number[],
  cells: number,
  levels: Glyphs['levels'],
  top: number,
): string {
  if (cells <= 0) return '';
  const level = (value: number) => Math.min(levels.length - 1, Math.floor((value / top) * levels.length));
  return values
    .slice(-cells)
    .map(value => levels[level(value)])
    .join('')
    .padStart(cells);
}
