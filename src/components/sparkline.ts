import type { Glyphs } from '../theme/glyphs.ts';

/** The last `cells` values as levels between zero and the highest of them; blank where there are no values yet. */
export function sparkline(values: readonly number[], cells: number, levels: Glyphs['levels']): string {
  if (cells <= 0) return '';
  const shown = values.slice(-cells);
  const most = Math.max(...shown, 0);
  const level = (value: number) =>
    most === 0 ? 0 : Math.min(levels.length - 1, Math.floor((value / most) * levels.length));
  return shown
    .map(value => levels[level(value)])
    .join('')
    .padStart(cells);
}
