import type { TerminalDriver } from './terminal-driver.ts';

const COLORS: Readonly<Record<number, string>> = { 1: 'r', 2: 'g', 3: 'y', 4: 'b', 5: 'm', 6: 'c' };

/**
 * How each cell of the screen is drawn, in one letter: the first of its color, a capital if bold; `i` for inverse, `b`
 * bold, `d` dim, and a blank for none of them.
 */
export function styleMap(driver: TerminalDriver): string[] {
  const { active } = driver.stdout.terminal.buffer;
  return Array.from({ length: driver.stdout.rows }, (_, row) => {
    const line = active.getLine(active.viewportY + row);
    return Array.from({ length: driver.stdout.columns }, (_, column) => {
      const cell = line?.getCell(column);
      if (cell === undefined) return ' ';
      if (cell.isInverse()) return 'i';
      const color = cell.isFgPalette() ? (COLORS[cell.getFgColor()] ?? '?') : null;
      if (color !== null) return cell.isBold() ? color.toUpperCase() : color;
      return cell.isBold() ? 'b' : cell.isDim() ? 'd' : ' ';
    })
      .join('')
      .trimEnd();
  });
}

/** The screen with the style of each line below it, if it has any. */
export function styledScreen(driver: TerminalDriver): string {
  const styles = styleMap(driver);
  return driver.lines.flatMap((line, row) => (styles[row] ? [line, `~${styles[row]}`] : [line])).join('\n');
}
